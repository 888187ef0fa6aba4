"""What learning needs of a decision, every kind of feedback, counts by the hour, keys, and the salt of users."""

import json
import secrets
from collections import defaultdict

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"

#: Rows that are held in memory at once while old ones are counted.
_AT_ONCE = 1000


def upgrade() -> None:
    """Move the old rows to the new tables and count them."""
    op.drop_index("feedback_by_decision", "feedback")
    op.rename_table("feedback", "old_feedback")
    op.rename_table("decisions", "old_decisions")
    _make_decisions()
    _make_feedback()
    op.execute(
        "INSERT INTO decisions (id, created, instruction, expert, response, ranking, policy, category, confidence, "
        "expected_score, cost, latency_s, attempts, outcome, router_version, propensities, receipt) "
        "SELECT id, created, instruction, expert, response, ranking, policy, category, confidence, expected_score, "
        "cost, latency_s, attempts, CASE WHEN expert IS NULL THEN 'failed' ELSE 'answered' END, '', '{}', '{}' "
        f"FROM old_decisions ORDER BY {'rowid' if op.get_bind().dialect.name == 'sqlite' else 'created'}"
    )
    op.execute(
        "INSERT INTO feedback (decision_id, created, score, comment, kind, event) "
        "SELECT decision_id, created, score, comment, 'score', 'old-' || id FROM old_feedback ORDER BY id"
    )
    op.drop_table("old_feedback")
    op.drop_table("old_decisions")
    for table, columns in {
        "decisions": [("time", "created"), ("user", "user_hash")],
        "feedback": [("user", "user_hash"), ("worse_decision", "preferred_to")],
    }.items():
        for what, column in columns:
            op.create_index(f"{table}_by_{what}", table, [column])
    _make_hours()
    _make_keys()
    settings = op.create_table(
        "settings", sa.Column("name", _ordered(), primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    op.bulk_insert(settings, [{"name": "salt", "value": secrets.token_hex(32)}])


def _number() -> TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _ordered() -> TypeEngine[str]:
    return sa.String().with_variant(sa.String(collation="C"), "postgresql")


def _make_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("number", _number(), nullable=False),
        sa.Column("id", _ordered(), nullable=False),
        sa.Column("created", _ordered(), nullable=False),
        sa.Column("instruction", sa.Text),
        sa.Column("expert", sa.Text),
        sa.Column("response", sa.Text),
        sa.Column("ranking", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("category", sa.Text),
        sa.Column("confidence", sa.Float),
        sa.Column("expected_score", sa.Float),
        sa.Column("cost", sa.Float, nullable=False),
        sa.Column("latency_s", sa.Float, nullable=False),
        sa.Column("attempts", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("router_version", sa.Text, nullable=False),
        sa.Column("features_hash", sa.Text),
        sa.Column("features", sa.LargeBinary),
        sa.Column("propensities", sa.Text, nullable=False),
        sa.Column("receipt", sa.Text, nullable=False),
        sa.Column("session_hash", sa.Text),
        sa.Column("user_hash", sa.Text),
        sa.Column("key_id", sa.Text),
        sa.PrimaryKeyConstraint("number", name="decisions_have_a_number"),
        sa.UniqueConstraint("id", name="decisions_have_one_id"),
    )


def _make_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("number", _number(), nullable=False),
        sa.Column("decision_id", _ordered(), nullable=False),
        sa.Column("created", _ordered(), nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("comment", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("preferred_to", _ordered()),
        sa.Column("correction", sa.Text),
        sa.Column("user_hash", sa.Text),
        sa.Column("event", _ordered(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="feedback_has_a_number"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="feedback_is_of_a_decision"),
        sa.UniqueConstraint("decision_id", "event", name="feedback_counts_an_event_once"),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name="feedback_scores_are_shares"),
    )


def _make_hours() -> None:
    hours = op.create_table(
        "hours",
        sa.Column("hour", _ordered(), nullable=False),
        sa.Column("expert", _ordered(), nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Float, nullable=False),
        sa.Column("judgements", sa.BigInteger, nullable=False),
        sa.Column("score_sum", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("hour", "expert", name="hours_have_each_expert_once"),
    )
    counted: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0, 0, 0.0])
    connection = op.get_bind()
    made = connection.execute(sa.text("SELECT created, attempts FROM decisions"))
    for rows in made.partitions(_AT_ONCE):
        for created, attempts in rows:
            for attempt in json.loads(attempts):
                cell = counted[created[:13], attempt["expert"]]
                error = attempt["error"]
                cell[0] += 1
                cell[1] += error is not None and not error.startswith("declined")
                cell[2] += attempt["cost"] or 0.0
    judged = connection.execute(
        sa.text(
            "SELECT substr(d.created, 1, 13), d.expert, count(*), sum(f.score) FROM feedback f "
            "JOIN decisions d ON d.id = f.decision_id WHERE d.expert IS NOT NULL GROUP BY 1, 2"
        )
    )
    for hour, expert, judgements, score_sum in judged:
        counted[hour, expert][3:] = [judgements, score_sum]
    names = ("calls", "failures", "cost", "judgements", "score_sum")
    rows_of_hours = [
        {"hour": hour, "expert": expert, **dict(zip(names, cell, strict=True))}
        for (hour, expert), cell in counted.items()
    ]
    op.bulk_insert(hours, rows_of_hours)


def _make_keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", _ordered(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("secret_hash", _ordered(), nullable=False),
        sa.Column("created", _ordered(), nullable=False),
        sa.Column("last_used", _ordered()),
        sa.Column("budget_usd", sa.Float),
        sa.Column("spent_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("experts", sa.Text),
        sa.Column("policies", sa.Text),
        sa.Column("is_disabled", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="keys_have_one_id"),
        sa.UniqueConstraint("secret_hash", name="keys_have_one_secret"),
    )
