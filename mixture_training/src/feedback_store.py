"""What was decided and how good it turned out to be, in one SQLite file beside the router.

The schema is changed only by the numbered migrations at the end of this file; opening an older file upgrades it.
"""

import json
import sqlite3
import threading
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from dataset_build import ConfigError, DataError
from mixture_training.src.model_executor import Attempt


@dataclass(frozen=True)
class Decision:
    """One instruction that was routed and executed.

    Attributes:
        id: What feedback refers to.
        created: ISO 8601, UTC.
        instruction: Its text.
        expert: Who answered in the end; None when nobody did.
        response: The answer; None when nobody answered.
        ranking: The experts as the recommender ranked them.
        policy: The policy that ranked.
        category: The likeliest category, when known.
        confidence: Its probability.
        expected_score: Of the expert that answered, or of the first ranked when nobody did.
        cost: USD of all attempts.
        latency_s: Seconds from start to answer.
        attempts: Every call that was made, in order.
    """

    id: str
    created: str
    instruction: str
    expert: str | None
    response: str | None
    ranking: tuple[str, ...]
    policy: str
    category: str | None
    confidence: float | None
    expected_score: float
    cost: float
    latency_s: float
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class Feedback:
    """One judgement of one decision; `score` is in [0, 1]."""

    decision_id: str
    created: str
    score: float
    comment: str | None = None


@dataclass(frozen=True)
class ScoredInstruction:
    """All feedback on one (instruction, expert) as one number.

    Attributes:
        instruction: Its text.
        expert: Who answered.
        score: Mean of the judgements.
        count: How many there were.
        cost: Mean USD of the expert's own calls; None when unknown.
        category: What the router took it for, when it had categories.
    """

    instruction: str
    expert: str
    score: float
    count: int
    cost: float | None
    category: str | None


def new_id() -> str:
    """Return a fresh decision id."""
    return uuid.uuid4().hex[:16]


def now() -> str:
    """Return the time as it is stored."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def feedback_path(folder: Path) -> Path:
    """Return where the decisions of the router in `folder` are kept: beside it, so that a new version keeps them."""
    folder = Path(folder).absolute()
    return folder.with_name(f"{folder.name}.feedback.sqlite3")


class FeedbackStore:
    """Decisions and feedback; safe to use from several threads, and from several processes at once.

    Args:
        path: The file; made with its folder when absent.

    Raises:
        ConfigError: the place cannot be written.
        DataError: the file is no feedback store, or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=30.0)
        except (OSError, sqlite3.Error) as problem:
            raise ConfigError(f"Cannot open the feedback store {path}: {problem}. Give another path.") from None
        try:
            self._migrate()
        except sqlite3.DatabaseError as problem:
            self._connection.close()
            if isinstance(problem, sqlite3.OperationalError):
                raise ConfigError(f"Cannot write the feedback store {path}: {problem}. Give another path.") from None
            raise DataError(f"{path} is no feedback store ({problem}). Move it away or give another path.") from None
        except DataError:
            self._connection.close()
            raise

    def _migrate(self) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")  # no fsync a decision; only a power cut may lose the last
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(_MIGRATIONS):
                raise DataError(
                    f"{self.path} has schema version {version}; this moe-toolkit knows up to {len(_MIGRATIONS)}. "
                    "Upgrade moe-toolkit."
                )
            for number, statements in enumerate(_MIGRATIONS[version:], start=version + 1):
                for statement in statements:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {number}")

    def remember(self, decision: Decision) -> None:
        """Store a decision; from then on it survives the end of this process, however it comes."""
        with self._lock, self._connection:
            self._connection.execute(
                "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    decision.id,
                    decision.created,
                    _utf8(decision.instruction),
                    None if decision.expert is None else _utf8(decision.expert),
                    None if decision.response is None else _utf8(decision.response),
                    json.dumps(decision.ranking),
                    decision.policy,
                    None if decision.category is None else _utf8(decision.category),
                    decision.confidence,
                    decision.expected_score,
                    decision.cost,
                    decision.latency_s,
                    json.dumps([asdict(attempt) for attempt in decision.attempts]),
                ),
            )

    def record(self, decision_id: str, score: float, comment: str | None = None) -> Feedback:
        """Store a judgement of a decision and return it; a decision may be judged more than once.

        Raises:
            ConfigError: the id is unknown, the score lies outside [0, 1], or nobody had answered.
        """
        if not 0.0 <= score <= 1.0:
            raise ConfigError(f"A feedback score lies in [0, 1]; {score!r} was given.")
        if self.decision(decision_id).expert is None:
            raise ConfigError(f"Decision {decision_id!r} has no response to judge: every expert failed.")
        feedback = Feedback(decision_id, now(), float(score), None if comment is None else _utf8(comment))
        with self._lock, self._connection:
            self._connection.execute(
                "INSERT INTO feedback (decision_id, created, score, comment) VALUES (?, ?, ?, ?)",
                (feedback.decision_id, feedback.created, feedback.score, feedback.comment),
            )
        return feedback

    def decision(self, decision_id: str) -> Decision:
        """Return a decision.

        Raises:
            ConfigError: there is none with this id.
        """
        rows = self._query("SELECT * FROM decisions WHERE id = ?", (_utf8(decision_id),))
        if not rows:
            raise ConfigError(
                f"No decision {decision_id!r} in {self.path}. Ids come with every result (`result.id`, `moe run`)."
            )
        return _decision(rows[0])

    def decisions(self) -> list[Decision]:
        """Return all decisions, oldest first."""
        return [_decision(row) for row in self._query("SELECT * FROM decisions ORDER BY rowid")]

    def feedback(self, decision_id: str | None = None) -> list[Feedback]:
        """Return all feedback, oldest first, or that of one decision."""
        where, values = ("", ()) if decision_id is None else ("WHERE decision_id = ?", (decision_id,))
        rows = self._query(f"SELECT decision_id, created, score, comment FROM feedback {where} ORDER BY id", values)
        return [Feedback(*row) for row in rows]

    def scored_instructions(self) -> list[ScoredInstruction]:
        """Return one row per (instruction, expert) that was judged, ordered by first judgement."""
        grouped: dict[tuple[str, str], tuple[list[float], dict[str, float], str | None]] = {}
        rows = self._query(
            "SELECT f.score, d.id, d.instruction, d.expert, d.category, d.attempts "
            "FROM feedback f JOIN decisions d ON d.id = f.decision_id WHERE d.expert IS NOT NULL ORDER BY f.id"
        )
        for score, decision_id, instruction, expert, category, attempts in rows:
            scores, costs, _ = grouped.setdefault((instruction, expert), ([], {}, category))
            scores.append(score)
            for attempt in json.loads(attempts):
                if attempt["expert"] == expert and attempt["error"] is None and attempt["cost"] is not None:
                    costs[decision_id] = attempt["cost"]
        return [
            ScoredInstruction(
                instruction,
                expert,
                score=sum(scores) / len(scores),
                count=len(scores),
                cost=sum(costs.values()) / len(costs) if costs else None,
                category=category,
            )
            for (instruction, expert), (scores, costs, category) in grouped.items()
        ]

    def _query(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file; the store is not used afterwards."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> "FeedbackStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _decision(row: Sequence[Any]) -> Decision:
    values = list(row)
    values[5] = tuple(json.loads(values[5]))
    values[12] = tuple(Attempt(**attempt) for attempt in json.loads(values[12]))
    return Decision(*values)


def _utf8(text: str) -> str:
    """Replace lone surrogates, which SQLite cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


#: Statements that take the schema from version n to n + 1; never edited, only appended to.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE decisions (
            id TEXT PRIMARY KEY, created TEXT NOT NULL, instruction TEXT NOT NULL, expert TEXT, response TEXT,
            ranking TEXT NOT NULL, policy TEXT NOT NULL, category TEXT, confidence REAL, expected_score REAL NOT NULL,
            cost REAL NOT NULL, latency_s REAL NOT NULL, attempts TEXT NOT NULL)""",
        """CREATE TABLE feedback (
            id INTEGER PRIMARY KEY, decision_id TEXT NOT NULL REFERENCES decisions (id), created TEXT NOT NULL,
            score REAL NOT NULL CHECK (score BETWEEN 0 AND 1), comment TEXT)""",
        "CREATE INDEX feedback_by_decision ON feedback (decision_id)",
    ),
)
