"""Where the versions of a router are kept, and what is written down about them.

Beside the router lies `<folder>.versions` with one folder for each version that was replaced or is on trial, and
`state.json`: the canary, what is being watched, and every version with how it came about and what became of it.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dataset_build import ConfigError, DataError, sha256_of, write_atomically
from mixture_training.src.decisions import now
from mixture_training.src.hub_places import is_in_hub_cache

_STATE, _LOCK, _JSON = "state.json", ".lock", "router.json"
#: Versions whose folders are kept, the latest ones; what is written down of the others stays.
MOST_KEPT = 20
#: What can become of a version.
STATES = ("in use", "canary", "replaced", "rolled back")


class UpdateRunningError(ConfigError):
    """Another update of the same router is running."""


@dataclass(frozen=True)
class Canary:
    """A version on trial.

    Attributes:
        version: Its number.
        tag: How decisions name it.
        share: Of the traffic.
        since: ISO 8601, UTC.
        base: How decisions name the version in use beside it.
    """

    version: int
    tag: str
    share: float
    since: str
    base: str


@dataclass(frozen=True)
class Watch:
    """A version that was promoted not long ago.

    Attributes:
        version: Its number.
        tag: How decisions name it.
        since: ISO 8601, UTC.
        base: How decisions name the version it replaced.
        base_version: The number of that.
    """

    version: int
    tag: str
    since: str
    base: str
    base_version: int


@dataclass(frozen=True)
class Entry:
    """One version in the history.

    Attributes:
        version: Its number.
        tag: How decisions name it.
        when: ISO 8601, UTC; when its state last changed.
        how: `train`, `quick` or `full`.
        state: One of `STATES`.
        reason: Why.
    """

    version: int
    tag: str
    when: str
    how: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class VersionState:
    """All that is written down.

    Attributes:
        current: The number of the version in use; the router folder itself has the last word.
        canary: On trial; None where nothing is.
        watch: Watched; None where nothing is.
        history: One entry per version, by number.
    """

    current: int = 1
    canary: Canary | None = None
    watch: Watch | None = None
    history: tuple[Entry, ...] = field(default=())

    def noted(self, entry: Entry) -> "VersionState":
        """Return the state with an entry in place of that of the same version."""
        others = [one for one in self.history if one.version != entry.version]
        return replace(self, history=tuple(sorted([*others, entry], key=lambda one: one.version)))

    def entry(self, version: int) -> Entry | None:
        """Return the entry of a version; None where there is none."""
        return next((one for one in self.history if one.version == version), None)

    def becoming(self, version: int, state: str, reason: str) -> "VersionState":
        """Return the state after a version that has an entry changed its own."""
        entry = self.entry(version)
        if entry is None:
            return self
        return self.noted(replace(entry, state=state, reason=reason, when=now()))


def versions_of(folder: Path) -> Path:
    """Return where the versions of the router in `folder` are kept."""
    folder = folder.absolute()
    return folder.with_name(f"{folder.name}.versions")


def kept_folder(folder: Path, version: int) -> Path:
    """Return where a version that is not in use is kept."""
    return versions_of(folder) / str(version)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of this router's updates.

    Raises:
        UpdateRunningError: somebody else does.
        ConfigError: the place cannot be written, or belongs to the hub.
    """
    if is_in_hub_cache(folder):
        raise ConfigError(
            f"{folder} lies in the cache of the Hugging Face hub, where nothing is changed. Name the router as "
            "hf:org/name (MoEController.from_pretrained), which makes a copy that can be updated, or copy the folder."
        )
    versions = versions_of(folder)
    try:
        versions.mkdir(exist_ok=True)
        lock = (versions / _LOCK).open("w")
    except OSError as problem:
        raise ConfigError(f"Cannot write {versions}: {problem.strerror or problem}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UpdateRunningError(f"Another update of {folder} is running; wait for it to end.") from None
        yield


def tag_of(folder: Path) -> str:
    """Return how decisions name the router in `folder`: its number and the start of the hash of its `router.json`.

    Raises:
        ConfigError: there is no router.
        DataError: it is damaged.
    """
    file = folder / _JSON
    try:
        number = number_in(json.loads(file.read_text(encoding="utf-8")).get("data", {}))
        return f"{number}-{sha256_of(file)[:8]}"
    except FileNotFoundError:
        raise ConfigError(f"No router in {folder}: it has no {_JSON}.") from None
    except (OSError, ValueError, AttributeError, TypeError) as problem:
        raise DataError(f"{file} is damaged ({problem}).") from None


def number_in(data: dict[str, Any]) -> int:
    """Return the version's number by the router's own `data`; the first is 1."""
    number = data.get("version", 1)
    return number if type(number) is int and number > 0 else 1


def number_of(tag: str) -> int:
    """Return the number that a tag starts with; 0 where it is no tag."""
    number = tag.partition("-")[0]
    return int(number) if number.isdigit() else 0


def read_state(folder: Path) -> VersionState:
    """Return what is written down about the versions of the router in `folder`; nothing where nothing is.

    Raises:
        DataError: it is damaged.
    """
    file = versions_of(folder) / _STATE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return VersionState()
    except (OSError, ValueError) as problem:
        raise DataError(f"{file} cannot be read ({problem}).") from None
    try:
        content = json.loads(text)
        canary, watch = content["canary"], content["watch"]
        state = VersionState(
            int(content["current"]),
            None if canary is None else Canary(**canary),
            None if watch is None else Watch(**watch),
            tuple(Entry(**entry) for entry in content["history"]),
        )
        if state.canary is not None and not 0.0 < state.canary.share < 1.0:
            raise ValueError(f"the canary's share is {state.canary.share}")
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(
            f"{file} is damaged ({type(problem).__name__}: {problem}). Move it away; the versions themselves stay."
        ) from None
    return state


def write_state(folder: Path, state: VersionState) -> None:
    """Write down what is known; under the lock only.

    Raises:
        ConfigError: the place cannot be written.
    """
    file = versions_of(folder) / _STATE
    try:
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, (json.dumps(asdict(state), indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as problem:
        raise ConfigError(f"Cannot write {file}: {problem.strerror or problem}.") from None


def state_with_current(folder: Path) -> VersionState:
    """Return the state, the router that is in place now among its history, whoever put it there."""
    state, tag = read_state(folder), tag_of(folder)
    number = number_of(tag)
    entry = state.entry(number)
    if entry is None or entry.tag != tag:
        why = "It was put there by hand." if state.history else "Trained."
        made = datetime.fromtimestamp((folder / _JSON).stat().st_mtime, UTC).isoformat(timespec="milliseconds")
        state = state.noted(Entry(number, tag, made, "train", "in use", why))
    if state.watch is not None and state.watch.tag != tag:
        state = replace(state, watch=None)
    return replace(state, current=number)


def next_number(folder: Path, state: VersionState) -> int:
    """Return a number that no version has had."""
    kept = [int(path.name) for path in versions_of(folder).glob("*") if path.name.isdigit()]
    return 1 + max([state.current, *(entry.version for entry in state.history), *kept])


def keep(folder: Path, version: int) -> Path:
    """Copy the router in `folder` to the versions beside it and return where it is.

    Raises:
        ConfigError: the place cannot be written.
    """
    kept = kept_folder(folder, version)
    making = kept.with_name(f".{version}.part")
    try:
        for old in (making, kept):  # left behind by an update that was killed before it promoted
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(folder, making)
        making.rename(kept)
    except OSError as problem:
        raise ConfigError(f"Cannot keep the present version in {kept}: {problem.strerror or problem}.") from None
    return kept


def prune(folder: Path, state: VersionState) -> None:
    """Remove the folders of the oldest versions beyond `MOST_KEPT`, but none that was trained or is needed still."""
    needed = {entry.version for entry in state.history if entry.how == "train"}
    needed |= {state.canary.version} if state.canary is not None else set()
    needed |= {state.watch.base_version} if state.watch is not None else set()
    kept = sorted(int(path.name) for path in versions_of(folder).glob("*") if path.name.isdigit())
    for version in kept[:-MOST_KEPT]:
        if version not in needed:
            shutil.rmtree(kept_folder(folder, version), ignore_errors=True)


def put_in_place(folder: Path, version: int) -> None:
    """Put a kept version in the place of the router in `folder`; readers find the one or the other, or wait a moment.

    Raises:
        ConfigError: it is not kept, or the place cannot be written.
    """
    kept = kept_folder(folder, version)
    if not (kept / _JSON).is_file():
        raise ConfigError(f"Version {version} of {folder} is not kept in {kept}. `moe versions` lists those that are.")
    place = folder.resolve()
    try:
        made = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
        try:
            shutil.copytree(kept, made, dirs_exist_ok=True)
            os.chmod(made, 0o755)
            put_folder(made, place)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as problem:
        raise ConfigError(
            f"Cannot put version {version} in place of {folder}: {problem.strerror or problem}."
        ) from None


def put_folder(made: Path, folder: Path) -> None:
    """Put `made`, which lies beside it, in the place of `folder`; what was there is removed last.

    Raises:
        OSError: what was there still is.
    """
    if not folder.exists():
        os.rename(made, folder)
        return
    old = made.with_name(made.name + ".old")
    os.rename(folder, old)
    try:
        os.rename(made, folder)
    except OSError:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
