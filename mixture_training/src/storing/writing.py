"""Writes decisions and judgements, each once, and what follows from them in the same transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select, update

from mixture_training.src.decisions import Decision, Feedback
from mixture_training.src.storing.counting import count_calls, count_judgement
from mixture_training.src.storing.database import Database
from mixture_training.src.storing.reading import feedback_of
from mixture_training.src.storing.rows import COLUMNS, charges, to_feedback_row
from mixture_training.src.storing.tables import decisions, feedback, keys

_CREATED, _KEY = COLUMNS.index("created"), COLUMNS.index("key_id")
#: So many characters of a moment name its minute: how exactly is kept when a key was used.
_MINUTE = len("2026-01-01T00:00")


def add_decisions(database: Database, rows: Sequence[Sequence[Any]]) -> dict[str, int]:
    """Add the rows whose id is new, count their calls and charge their keys, all or nothing.

    Returns:
        What was charged to each key, in billionths of a dollar.
    """
    by_id = {row[0]: row for row in rows}
    if not by_id:
        return {}
    new = database.insert(decisions).on_conflict_do_nothing(index_elements=["id"]).returning(decisions.c.id)
    with database.writing() as connection:
        added = connection.execute(new, [dict(zip(COLUMNS, row, strict=True)) for row in by_id.values()]).scalars()
        fresh = [by_id[decision_id] for decision_id in added]
        count_calls(database, connection, fresh)
        charged = charges(fresh)
        if charged:
            used: dict[str, str] = {}
            for row in fresh:
                if row[_KEY] is not None:
                    used[row[_KEY]] = max(row[_CREATED], used.get(row[_KEY], ""))
            connection.execute(
                update(keys)
                .where(keys.c.id == bindparam("key"))
                .values(spent_nano_usd=keys.c.spent_nano_usd + bindparam("nano"), last_used=bindparam("used")),
                [
                    {"key": key, "nano": nano, "used": f"{used[key][:_MINUTE]}+00:00"}
                    for key, nano in sorted(charged.items())
                ],
            )
    return charged


def add_feedback(database: Database, given: Feedback, about: Decision) -> Feedback:
    """Add a judgement unless its event is known, and return what is stored."""
    row = to_feedback_row(given)
    new = (
        database.insert(feedback)
        .on_conflict_do_nothing(index_elements=["decision_id", "event"])
        .returning(feedback.c.number)
    )
    with database.writing() as connection:
        if connection.execute(new, row).scalar_one_or_none() is not None:
            if given.score is not None and about.expert is not None:
                count_judgement(connection, about.created, about.expert, given.score)
            return Feedback(*row.values())
        known = feedback_of(row["decision_id"]).where(feedback.c.event == row["event"])
        return Feedback(*connection.execute(known).one())


def salt(database: Database) -> str:
    """Return what users are hashed with."""
    from mixture_training.src.storing.tables import settings

    with database.reading() as connection:
        return str(connection.execute(select(settings.c.value).where(settings.c.name == "salt")).scalar_one())
