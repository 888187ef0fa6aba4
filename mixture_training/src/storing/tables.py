"""The tables as they are now; what changes them is a new file in `migrations/versions`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

METADATA = MetaData()


def number() -> TypeEngine[int]:
    """Return the type of a row number that the database counts up."""
    return BigInteger().with_variant(Integer(), "sqlite")


def ordered() -> TypeEngine[str]:
    """Return the type of text that is compared byte by byte, whatever language the database is set to."""
    return String().with_variant(String(collation="C"), "postgresql")


decisions = Table(
    "decisions",
    METADATA,
    Column("number", number(), primary_key=True),
    Column("id", ordered(), nullable=False),
    Column("created", ordered(), nullable=False),
    Column("instruction", Text),
    Column("expert", Text),
    Column("response", Text),
    Column("ranking", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("category", Text),
    Column("confidence", Float),
    Column("expected_score", Float),
    Column("cost", Float, nullable=False),
    Column("latency_s", Float, nullable=False),
    Column("attempts", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("router_version", Text, nullable=False),
    Column("features_hash", Text),
    Column("features", LargeBinary),
    Column("propensities", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("session_hash", Text),
    Column("user_hash", Text),
    Column("key_id", Text),
    UniqueConstraint("id", name="decisions_have_one_id"),
    Index("decisions_by_time", "created"),
    Index("decisions_by_user", "user_hash"),
)

feedback = Table(
    "feedback",
    METADATA,
    Column("number", number(), primary_key=True),
    Column("decision_id", ordered(), ForeignKey("decisions.id", name="feedback_is_of_a_decision"), nullable=False),
    Column("created", ordered(), nullable=False),
    Column("score", Float),
    Column("comment", Text),
    Column("kind", Text, nullable=False),
    Column("preferred_to", ordered()),
    Column("correction", Text),
    Column("user_hash", Text),
    Column("event", ordered(), nullable=False),
    UniqueConstraint("decision_id", "event", name="feedback_counts_an_event_once"),
    Index("feedback_by_user", "user_hash"),
    Index("feedback_by_worse_decision", "preferred_to"),
)

#: What each expert did in each hour, counted as decisions and judgements come in: it outlives what is forgotten.
hours = Table(
    "hours",
    METADATA,
    Column("hour", ordered(), primary_key=True),
    Column("expert", ordered(), primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("cost", Float, nullable=False),
    Column("judgements", BigInteger, nullable=False),
    Column("score_sum", Float, nullable=False),
)

keys = Table(
    "keys",
    METADATA,
    Column("id", ordered(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("secret_hash", ordered(), nullable=False),
    Column("created", ordered(), nullable=False),
    Column("last_used", ordered()),
    Column("budget_usd", Float),
    Column("spent_nano_usd", BigInteger, nullable=False),
    Column("requests_per_minute", Integer),
    Column("experts", Text),
    Column("policies", Text),
    Column("is_disabled", Boolean, nullable=False),
    UniqueConstraint("secret_hash", name="keys_have_one_secret"),
)

settings = Table(
    "settings",
    METADATA,
    Column("name", ordered(), primary_key=True),
    Column("value", Text, nullable=False),
)
