"""Reads decisions and judgements."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, func, select

from mixture_training.src.decisions import Decision, Feedback, Judged
from mixture_training.src.storing.rows import COLUMNS, FEEDBACK_COLUMNS, from_row
from mixture_training.src.storing.tables import decisions, feedback

_DECISION = [decisions.c[name] for name in COLUMNS]
_FEEDBACK = [feedback.c[name] for name in FEEDBACK_COLUMNS]
#: Rows that are fetched at once.
_AT_ONCE = 2000
#: Newest decisions among which those of one key are looked for.
_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class Brief:
    """A decision in brief: how it went, and nothing of what was said.

    Attributes:
        id: Of the decision.
        created: ISO 8601, UTC.
        expert: Who answered; None when nobody did.
        first: Who was to be tried first.
        policy: The policy that ranked.
        outcome: How it ended.
        cost: USD of all attempts.
        latency_s: Seconds from start to answer.
    """

    id: str
    created: str
    expert: str | None
    first: str
    policy: str
    outcome: str
    cost: float
    latency_s: float


def brief(connection: Connection, limit: int, since: str | None, key_id: str | None) -> list[Brief]:
    """Return the newest decisions in brief, newest first."""
    names = ("id", "created", "expert", "ranking", "policy", "outcome", "cost", "latency_s", "key_id")
    query = select(*[decisions.c[name] for name in names]).order_by(decisions.c.created.desc())
    if since is not None:
        query = query.where(decisions.c.created >= since)
    if key_id is not None:  # bounded: a key that asks little would have all others' rows read
        newest = query.limit(_LOOKED_AT).subquery()
        query = select(newest).where(newest.c.key_id == key_id).order_by(newest.c.created.desc())
    return [
        Brief(
            id=row.id,
            created=row.created,
            expert=row.expert,
            first=next(iter(json.loads(row.ranking)), ""),
            policy=row.policy,
            outcome=row.outcome,
            cost=row.cost,
            latency_s=row.latency_s,
        )
        for row in connection.execute(query.limit(limit))
    ]


def find(connection: Connection, decision_id: str) -> Decision | None:
    """Return the decision; None when there is none."""
    row = connection.execute(select(*_DECISION).where(decisions.c.id == decision_id)).one_or_none()
    return None if row is None else from_row(row)


def page(
    since: str | None,
    until: str | None,
    limit: int | None,
    after_id: str | None,
    key_id: str | None,
    newest_first: bool,
) -> Select[Any]:
    """Return the query of `FeedbackStore.decisions`."""
    number = decisions.c.number
    query = select(*_DECISION).order_by(number.desc() if newest_first else number)
    if since is not None:
        query = query.where(decisions.c.created >= since)
    if until is not None:
        query = query.where(decisions.c.created < until)
    if key_id is not None:
        query = query.where(decisions.c.key_id == key_id)
    if after_id is not None:
        after = select(number).where(decisions.c.id == after_id).scalar_subquery()
        query = query.where(number < after if newest_first else number > after)
    return query if limit is None else query.limit(limit)


def feedback_of(decision_id: str | None) -> Select[Any]:
    """Return the query of all judgements, or of those of one decision."""
    query = select(*_FEEDBACK).order_by(feedback.c.number)
    return query if decision_id is None else query.where(feedback.c.decision_id == decision_id)


def judged(connection: Connection, since: str | None) -> Iterator[Judged]:
    """Yield every judgement with its decision, and of preferences the worse decision as well."""
    for row in _judged_rows(connection, since, feedback.c.decision_id):
        given = Feedback(*row[: len(_FEEDBACK)])
        score = 1.0 if given.score is None else given.score
        yield Judged(from_row(row[len(_FEEDBACK) :]), given, score)


def worse(connection: Connection, since: str | None) -> Iterator[Judged]:
    """Yield of every preference the decision that was found worse, scored 0."""
    for row in _judged_rows(connection, since, feedback.c.preferred_to):
        yield Judged(from_row(row[len(_FEEDBACK) :]), Feedback(*row[: len(_FEEDBACK)]), 0.0)


def _judged_rows(connection: Connection, since: str | None, by: Column[Any]) -> Iterator[Sequence[Any]]:
    query = select(*_FEEDBACK, *_DECISION).join(decisions, decisions.c.id == by).order_by(feedback.c.number)
    if since is not None:
        query = query.where(feedback.c.created >= since)
    rows: Iterator[Sequence[Row[Any]]] = connection.execution_options(yield_per=_AT_ONCE).execute(query).partitions()
    for part in rows:
        yield from part


def counts(connection: Connection) -> tuple[int, int, str | None]:
    """Return how many decisions and judgements there are, and when the last decision was made."""
    query = select(
        select(func.count()).select_from(decisions).scalar_subquery(),
        select(func.count()).select_from(feedback).scalar_subquery(),
        select(func.max(decisions.c.created)).scalar_subquery(),
    )
    made, judgements, latest = connection.execute(query).one()
    return made, judgements, latest
