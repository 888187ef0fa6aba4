"""What workers and the coordinator of a distributed build tell each other."""

from dataclasses import dataclass

from dataset_build.src.errors import ExpertError, ExpertUnavailableError
from dataset_build.src.records import Response


@dataclass(frozen=True, slots=True)
class Problem:
    """What limits need to know of a failed try; an `ExpertError` itself does not travel."""

    kind: str
    message: str
    retry_after_s: float | None

    @classmethod
    def of(cls, error: ExpertError) -> "Problem":
        """Return what is to be told of `error`."""
        return cls(error.kind, error.message, error.retry_after_s)

    def as_error(self, endpoint: str) -> ExpertError:
        """Return it as an error again."""
        return ExpertUnavailableError(self.message, expert=endpoint, kind=self.kind, retry_after_s=self.retry_after_s)


@dataclass(frozen=True, slots=True)
class Down:
    """An endpoint whose circuit breaker is open.

    Attributes:
        remaining_s: Seconds until it may be tried.
        is_fatal: Whether a person must mend it.
        reason: The last failure, as in `Response.error`.
    """

    remaining_s: float
    is_fatal: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Enter:
    """A call waits for its turn; the reply is `Granted` with its epoch, or `Refused`."""

    ticket: int
    endpoint: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Leave:
    """A try has ended: see `Endpoint.leave`."""

    endpoint: str
    epoch: int
    problem: Problem | None
    more_tokens: float
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A turn is given back unused."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class Reserve:
    """A call waits for money; the reply is `Granted`, or `Refused` where the budget is met."""

    ticket: int
    usd: float


@dataclass(frozen=True, slots=True)
class Settle:
    """A reservation is replaced by what was spent."""

    reserved_usd: float
    spent_usd: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A call has ended in a response.

    Attributes:
        block: The block it belongs to.
        response: How it ended.
        is_repeat: Whether the same call has failed before.
    """

    block: int
    response: Response
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class Broke:
    """The budget does not allow a further call of this expert."""

    expert: str
    reason: str


@dataclass(frozen=True, slots=True)
class FailedCall:
    """The build cannot go on: a package is missing on a node, say.

    Attributes:
        error: The name of the class in `dataset_build.src.errors`.
        message: What it says.
    """

    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do of a block."""

    block: int


@dataclass(frozen=True, slots=True)
class Granted:
    """A wait is over; `epoch` is what `Leave` wants back (below zero for the probe of an open breaker)."""

    ticket: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A wait is over, in vain."""

    ticket: int
    reason: str


Result = Finished | Broke | FailedCall | Done
Message = Enter | Leave | Release | Reserve | Settle | Result
Reply = Granted | Refused


@dataclass(frozen=True, slots=True)
class Account:
    """What the coordinator tells the driver of the money.

    Attributes:
        spent_usd: What is spent, and what is set aside, in all.
        at_most_usd: What the driver is to write down before further calls start.
    """

    spent_usd: float
    at_most_usd: float
