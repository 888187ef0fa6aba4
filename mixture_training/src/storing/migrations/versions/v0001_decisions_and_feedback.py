"""Decisions and their scores, as the first stores had them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "decisions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("instruction", sa.Text, nullable=False),
        sa.Column("expert", sa.Text),
        sa.Column("response", sa.Text),
        sa.Column("ranking", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("category", sa.Text),
        sa.Column("confidence", sa.Float),
        sa.Column("expected_score", sa.Float, nullable=False),
        sa.Column("cost", sa.Float, nullable=False),
        sa.Column("latency_s", sa.Float, nullable=False),
        sa.Column("attempts", sa.Text, nullable=False),
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("decision_id", sa.Text, sa.ForeignKey("decisions.id"), nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("comment", sa.Text),
    )
    op.create_index("feedback_by_decision", "feedback", ["decision_id"])
