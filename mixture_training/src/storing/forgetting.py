"""Forgets: what one user said, and whatever is older than it may be."""

import json

from sqlalchemy import Connection, String, bindparam, cast, delete, or_, select, update

from mixture_training.src.storing.database import Database
from mixture_training.src.storing.tables import decisions, feedback

#: Rows that one transaction deletes, so that others can write between two.
_AT_ONCE = 2000


def forget_user(database: Database, user: str) -> int:
    """Empty every decision and judgement of the hashed `user`, and return how many there were.

    What stays says nothing about anybody: when, which expert, what it cost, how long it took, and the score.
    """
    with database.writing() as connection:
        found = connection.execute(
            select(decisions.c.id, decisions.c.attempts).where(decisions.c.user_hash == user)
        ).all()
        judgements = _empty_feedback(connection, user)
        if found:
            connection.execute(
                update(decisions)
                .where(decisions.c.id == bindparam("forgotten"))
                .values(
                    instruction=None,
                    response=None,
                    features=None,
                    features_hash=None,
                    receipt="{}",
                    session_hash=None,
                    user_hash=None,
                    key_id=None,
                    attempts=bindparam("without_messages"),
                ),
                [{"forgotten": row.id, "without_messages": _without_messages(row.attempts)} for row in found],
            )
    return len(found) + judgements


def forget_before(database: Database, moment: str) -> int:
    """Delete the decisions made before `moment` and their judgements, and return how many decisions there were."""
    count = 0
    while True:
        with database.writing() as connection:
            old = select(decisions.c.number).where(decisions.c.created < moment).order_by(decisions.c.created)
            numbers = connection.execute(old.limit(_AT_ONCE)).scalars().all()
            if not numbers:
                return count
            ids = select(decisions.c.id).where(decisions.c.number.in_(numbers))
            connection.execute(
                delete(feedback).where(or_(feedback.c.decision_id.in_(ids), feedback.c.preferred_to.in_(ids)))
            )
            connection.execute(delete(decisions).where(decisions.c.number.in_(numbers)))
        count += len(numbers)


def _empty_feedback(connection: Connection, user: str) -> int:
    """Empty what the user judged, and what others wrote about the user's responses; return how many there were."""
    theirs = select(decisions.c.id).where(decisions.c.user_hash == user)
    result = connection.execute(
        update(feedback)
        .where(
            or_(
                feedback.c.user_hash == user,
                feedback.c.decision_id.in_(theirs),
                feedback.c.preferred_to.in_(theirs),
            )
        )
        .values(comment=None, correction=None, user_hash=None, event="forgotten-" + cast(feedback.c.number, String))
    )
    return int(result.rowcount)


def _without_messages(attempts: str) -> str:
    """Return the attempts with only the kind of each error: an endpoint's message may quote the instruction."""
    kept = json.loads(attempts)
    for attempt in kept:
        if attempt["error"] is not None:
            attempt["error"] = attempt["error"].partition(":")[0]
    return json.dumps(kept, separators=(",", ":"))
