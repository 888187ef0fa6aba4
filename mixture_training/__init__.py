"""Stage two: train the classifiers and drive the mixture-of-experts controller."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixture_training.src.asking import MoEResult
    from mixture_training.src.bandit import Explorer
    from mixture_training.src.execution import Piece, Resumed
    from mixture_training.src.moe_controller import MoEController
    from mixture_training.src.receipt import Receipt
    from mixture_training.src.response_cache import ResponseCache

_HOME = {
    "Explorer": "mixture_training.src.bandit",
    "MoEController": "mixture_training.src.moe_controller",
    "MoEResult": "mixture_training.src.asking",
    "Piece": "mixture_training.src.execution",
    "Receipt": "mixture_training.src.receipt",
    "ResponseCache": "mixture_training.src.response_cache",
    "Resumed": "mixture_training.src.execution",
}

__all__ = ["Explorer", "MoEController", "MoEResult", "Piece", "Receipt", "ResponseCache", "Resumed"]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name the first time it is used."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_HOME[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
