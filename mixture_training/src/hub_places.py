"""Where a router of the Hugging Face hub is kept on this machine, so that nothing is written into the hub's cache."""

import os
from pathlib import Path

#: Beside a working copy: where it came from.
ORIGIN = "hub.json"


def data_folder() -> Path:
    """Return the folder for what cannot be made again: `MOE_TOOLKIT_DATA`, or `~/.local/share/moe-toolkit`."""
    chosen = os.environ.get("MOE_TOOLKIT_DATA")
    if chosen:
        return Path(chosen).expanduser()
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "moe-toolkit"


def working_copy(name: str, revision: str | None = None) -> Path:
    """Return where the router `org/name` is worked with; its feedback and its versions lie beside, as of any router.

    Args:
        name: On the hub.
        revision: Where one was asked for, its copy is one of its own.
    """
    owner, _, own = name.partition("/")
    place = f"{owner}--{own}" if revision is None else f"{owner}--{own}@{revision.replace('/', '--')}"
    return data_folder() / "routers" / place / own


def is_in_hub_cache(folder: Path) -> bool:
    """Return whether a folder is a snapshot in the hub's cache."""
    return _name_in_cache(folder) is not None


def is_from_hub(folder: Path) -> bool:
    """Return whether others may have written the router in a folder: a snapshot, or a working copy and its versions.

    What it says about whom to call, and with which key, is then not taken for granted.
    """
    folder = folder.absolute()
    copies = (data_folder() / "routers").absolute().resolve()
    return is_in_hub_cache(folder) or folder.with_name(ORIGIN).is_file() or folder.resolve().is_relative_to(copies)


def home_of(folder: Path) -> Path:
    """Return the folder beside which things of the router in `folder` are kept: itself, unless the hub's cache has it.

    What belongs to a router in the hub's cache lies beside its working copy.
    """
    name = _name_in_cache(folder)
    return folder if name is None else working_copy(name)


def _name_in_cache(folder: Path) -> str | None:
    """Return `org/name` of a snapshot in the hub's cache (`models--org--name/snapshots/COMMIT`); None for others."""
    parts = folder.absolute().resolve().parts
    if len(parts) < 4 or parts[-2] != "snapshots" or not parts[-3].startswith("models--"):
        return None
    owner, separator, own = parts[-3].removeprefix("models--").partition("--")
    return f"{owner}/{own}" if separator else None
