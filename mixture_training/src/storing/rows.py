"""A decision as a row of plain values and back."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from typing import Any, overload

from mixture_training.src.decisions import Attempt, Decision, Feedback

#: The columns of a decision, in the order of its fields.
COLUMNS = (
    "id", "created", "instruction", "expert", "response", "ranking", "policy", "category", "confidence",
    "expected_score", "cost", "latency_s", "attempts", "outcome", "router_version", "features_hash", "features",
    "propensities", "receipt", "session_hash", "user_hash", "key_id",
)  # fmt: skip
#: The columns of a judgement, likewise.
FEEDBACK_COLUMNS = (
    "decision_id", "created", "score", "comment", "kind", "preferred_to", "correction", "user_hash", "event",
)  # fmt: skip
#: Where in a row the features and the attempts are.
FEATURES, ATTEMPTS = COLUMNS.index("features"), COLUMNS.index("attempts")
#: What is added to a key for a dollar: whole numbers add up the same in every order.
NANO = 1_000_000_000

_ATTEMPT = [(each.name, None if each.default is MISSING else each.default) for each in fields(Attempt)]
_ALWAYS = {each.name for each in fields(Attempt) if each.default is MISSING}


def to_json(value: object) -> str:
    """Return the JSON of a value on one line; pydantic's encoder takes a quarter of the standard library's time."""
    from pydantic_core import PydanticSerializationError
    from pydantic_core import to_json as encode

    try:
        return encode(value, inf_nan_mode="constants").decode("utf-8")
    except PydanticSerializationError:  # a lone surrogate, which is escaped
        return json.dumps(value, separators=(",", ":"))


def to_row(decision: Decision) -> tuple[Any, ...]:
    """Return the values of `COLUMNS`; what no database holds (lone surrogates, NUL, NaN costs) is replaced."""
    expected = decision.expected_score
    return (
        clean(decision.id),
        clean(decision.created),
        clean(decision.instruction),
        clean(decision.expert),
        clean(decision.response),
        to_json(decision.ranking),
        clean(decision.policy),
        clean(decision.category),
        decision.confidence,
        None if expected is None or expected != expected else float(expected),
        _finite(decision.cost),
        _finite(decision.latency_s),
        to_json([_attempt(attempt) for attempt in decision.attempts]),
        decision.outcome,
        clean(decision.router_version),
        decision.features_hash,
        decision.features,
        to_json(dict(decision.propensities)),
        to_json(dict(decision.receipt)),
        clean(decision.session),
        clean(decision.user),
        clean(decision.key_id),
    )


def from_row(row: Sequence[Any]) -> Decision:
    """Return the decision of a row of `COLUMNS`."""
    values = list(row)
    values[5] = tuple(json.loads(values[5]))
    values[9] = math.nan if values[9] is None else values[9]
    values[ATTEMPTS] = tuple(Attempt(**attempt) for attempt in json.loads(values[ATTEMPTS]))
    values[FEATURES] = None if values[FEATURES] is None else bytes(values[FEATURES])
    values[17], values[18] = json.loads(values[17]), json.loads(values[18])
    return Decision(*values)


def to_feedback_row(feedback: Feedback) -> dict[str, Any]:
    """Return the values of `FEEDBACK_COLUMNS` by name."""
    values = (getattr(feedback, each.name) for each in fields(Feedback))
    return {
        name: clean(value) if isinstance(value, str) else value
        for name, value in zip(FEEDBACK_COLUMNS, values, strict=True)
    }


def charges(rows: Iterable[Sequence[Any]]) -> dict[str, int]:
    """Return what the decisions of each key cost together, in billionths of a dollar."""
    cost, key = COLUMNS.index("cost"), COLUMNS.index("key_id")
    total: dict[str, int] = {}
    for row in rows:
        if row[key] is not None:
            total[row[key]] = total.get(row[key], 0) + round(row[cost] * NANO)
    return total


@overload
def clean(text: str) -> str: ...
@overload
def clean(text: str | None) -> str | None: ...
def clean(text: str | None) -> str | None:
    """Replace lone surrogates and NUL, which SQLite and PostgreSQL cannot hold."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def _attempt(attempt: Attempt) -> dict[str, Any]:
    """Return the fields that are not what they are by default."""
    return {
        name: value
        for name, default in _ATTEMPT
        if (value := getattr(attempt, name, default)) != default or name in _ALWAYS
    }


def _finite(number: float) -> float:
    return float(number) if math.isfinite(number) else 0.0
