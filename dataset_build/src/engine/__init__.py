"""What runs the calls of a build: this process, or a Ray cluster."""

from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from dataset_build.src.budget import Budget
    from dataset_build.src.config import BuildConfig
    from dataset_build.src.experts.base import Expert
    from dataset_build.src.instruction_store import InstructionStore
    from dataset_build.src.records import Response
    from dataset_build.src.response_store import ResponseStore

_HOMES = {
    "local": "dataset_build.src.querying:query_all",
    "ray": "dataset_build.src.engine.ray_data:query_all",
}


class Engine(Protocol):
    """Fills the journal; the contract is that of `dataset_build.src.querying.query_all`."""

    def __call__(
        self,
        instructions: "InstructionStore",
        experts: "Sequence[Expert]",
        *,
        store: "ResponseStore",
        config: "BuildConfig",
        budget: "Budget | None" = None,
        on_response: "Callable[[Response], None]" = ...,
        on_repeat: "Callable[[Response], None]" = ...,
    ) -> Coroutine[Any, Any, None]:
        """Ask every expert every instruction that has no answer yet."""


def load_engine(name: str) -> Engine:
    """Return the engine called `name`, one of those that `BuildConfig.engine` allows."""
    module, _, function = _HOMES[name].partition(":")
    return cast(Engine, getattr(import_module(module), function))
