"""What each expert did and earned by the hour, kept up to date in the transaction of what is counted."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from mixture_training.src.storing.database import Database
from mixture_training.src.storing.rows import ATTEMPTS, COLUMNS
from mixture_training.src.storing.tables import hours

#: So many characters of a moment name its hour.
_HOUR = len("2026-01-01T00")
_CREATED = COLUMNS.index("created")


@dataclass(frozen=True, slots=True)
class Traffic:
    """One expert in one hour.

    Attributes:
        hour: Its start, ISO 8601, UTC.
        expert: Who.
        calls: How often it was called.
        failures: How many of the calls failed; a tool that declines has not.
        cost: USD of all calls.
        judgements: Scores and corrections of what was answered in that hour, whenever they came.
        mean_score: Their mean; None without any.
    """

    hour: str
    expert: str
    calls: int
    failures: int
    cost: float
    judgements: int
    mean_score: float | None


def count_calls(database: Database, connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Add the attempts of new decisions."""
    cells: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        for attempt in json.loads(row[ATTEMPTS]):
            error = attempt["error"]
            cell = cells.setdefault((row[_CREATED][:_HOUR], attempt["expert"]), [0, 0, 0.0])
            cell[0] += 1
            cell[1] += error is not None and not error.startswith("declined")
            cell[2] += attempt["cost"] or 0.0
    if not cells:
        return
    values = [  # sorted, so that two writers wait for each other and never in a circle
        {
            "hour": hour, "expert": expert, "calls": calls, "failures": failures, "cost": cost,
            "judgements": 0, "score_sum": 0.0,
        }
        for (hour, expert), (calls, failures, cost) in sorted(cells.items())
    ]  # fmt: skip
    new = database.insert(hours).values(values)
    added = {name: hours.c[name] + new.excluded[name] for name in ("calls", "failures", "cost")}
    connection.execute(new.on_conflict_do_update(index_elements=["hour", "expert"], set_=added))


def count_judgement(connection: Connection, created: str, expert: str, score: float) -> None:
    """Add a judgement of what `expert` answered at `created`."""
    connection.execute(
        update(hours)
        .where(hours.c.hour == created[:_HOUR], hours.c.expert == expert)
        .values(judgements=hours.c.judgements + 1, score_sum=hours.c.score_sum + score)
    )


def read_traffic(connection: Connection, since: str | None) -> list[Traffic]:
    """Return the hours from that of `since` on, by hour and expert."""
    query = select(hours).order_by(hours.c.hour, hours.c.expert)
    if since is not None:
        query = query.where(hours.c.hour >= since[:_HOUR])
    return [
        Traffic(
            hour=f"{row.hour}:00:00+00:00",
            expert=row.expert,
            calls=row.calls,
            failures=row.failures,
            cost=row.cost,
            judgements=row.judgements,
            mean_score=row.score_sum / row.judgements if row.judgements else None,
        )
        for row in connection.execute(query)
    ]
