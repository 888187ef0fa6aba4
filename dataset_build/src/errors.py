"""Every error the toolkit raises on purpose.

ToolkitError
├── ConfigError                   a flag, file or name is wrong; the user can fix it
├── DataError                     a dataset or artifact is not what its reader expects
├── MissingDependencyError        an optional package is not installed; the message is the install line
├── EarlyStopError                stopped before the end with everything kept (interrupt, budget)
└── ExpertError                   an expert did not answer
    ├── ExpertUnavailableError    worth another try: timeout, connection, rate limit, 5xx
    ├── ExpertRefusedError        not worth one: bad key, bad request, filtered
    └── ExpertCrashedError        the expert's own code raised; a repeat would raise again

A command turns a `ToolkitError` into one line on stderr and exits with `exit_code`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataset_build.src.records import Usage


class ToolkitError(Exception):
    """The root of the tree: something the toolkit can name went wrong."""

    exit_code = 2


class ConfigError(ToolkitError):
    """A flag, a configuration file or a name is wrong, and the user can fix it."""


class DataError(ToolkitError):
    """A dataset, a response file or a router folder is not what its reader expects."""


class MissingDependencyError(ToolkitError, ImportError):
    """An optional package is missing; the message says what to install."""


class EarlyStopError(ToolkitError):
    """The work stopped before its end, and everything finished so far is kept."""

    exit_code = 3


class ExpertError(ToolkitError):
    """An expert did not answer.

    Args:
        message: What happened, in one line.
        expert: The name of the expert.
        kind: A short stable word for reports, such as "timeout" or "rate_limit".
        retry_after_s: Seconds the endpoint asked to wait, when it said so.
        usage: What the failed call is billed for, where the endpoint said so (an answer without text, say).
        may_be_billed: Whether the endpoint may charge for it without having said so: the answer was lost on its way.
    """

    retryable = False
    default_kind = "error"

    def __init__(
        self,
        message: str,
        *,
        expert: str,
        kind: str | None = None,
        retry_after_s: float | None = None,
        usage: "Usage | None" = None,
        may_be_billed: bool = False,
    ) -> None:
        super().__init__(f"{expert}: {message}")
        self.message = message
        self.expert = expert
        self.kind = kind or self.default_kind
        self.retry_after_s = retry_after_s
        self.usage = usage
        self.may_be_billed = may_be_billed

    def as_field(self) -> str:
        """Return the text stored in the `error` column: `kind: message` on one line."""
        return f"{self.kind}: {' '.join(self.message.split())}"[:500]


class ExpertUnavailableError(ExpertError):
    """Timeout, lost connection, rate limit or server error: worth another try."""

    retryable = True
    default_kind = "unavailable"


class ExpertRefusedError(ExpertError):
    """Bad key, bad request or filtered content: the same call would be refused again."""

    default_kind = "refused"


class ExpertCrashedError(ExpertError):
    """The expert's own code raised or died."""

    default_kind = "crash"
