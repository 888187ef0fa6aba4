"""Stage one: ask every expert every instruction, score the answers, write a labelled dataset."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataset_build.src.errors import (
        ConfigError,
        DataError,
        EarlyStopError,
        ExpertCrashedError,
        ExpertError,
        ExpertRefusedError,
        ExpertUnavailableError,
        MissingDependencyError,
        ToolkitError,
    )
    from dataset_build.src.registry import Registry

_ERRORS = "dataset_build.src.errors"
_RECORDS = "dataset_build.src.records"

_HOME = {
    "ConfigError": _ERRORS,
    "DataError": _ERRORS,
    "EarlyStopError": _ERRORS,
    "ExpertCrashedError": _ERRORS,
    "ExpertError": _ERRORS,
    "ExpertRefusedError": _ERRORS,
    "ExpertUnavailableError": _ERRORS,
    "MissingDependencyError": _ERRORS,
    "Registry": "dataset_build.src.registry",
    "ToolkitError": _ERRORS,
}

__all__ = [
    "ConfigError",
    "DataError",
    "EarlyStopError",
    "ExpertCrashedError",
    "ExpertError",
    "ExpertRefusedError",
    "ExpertUnavailableError",
    "MissingDependencyError",
    "Registry",
    "ToolkitError",
]


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
