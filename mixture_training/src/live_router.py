"""The router in use and the one on trial beside it, as they are on disk at the moment."""

import hashlib
import json
import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_build import ConfigError, DataError, ToolkitError
from mixture_training.src.version_folders import (
    Canary,
    kept_folder,
    number_in,
    read_state,
    tag_of,
    versions_of,
)

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router
    from mixture_training.src.model_recommender import Recommender

logger = logging.getLogger(__name__)

#: Seconds in which a router folder that is being replaced is there again.
_WAIT_S, _LOOKS = 1.0, 20

Signature = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class ActiveRouter:
    """A router that answers.

    Attributes:
        router: Itself.
        recommender: What ranks by it.
        version: How decisions name it: number and start of a hash.
        is_canary: Whether it is on trial.
    """

    router: "Router"
    recommender: "Recommender"
    version: str
    is_canary: bool = False


class LiveRouter:
    """The router in use and, while there is one, the canary beside it; safe to use from several threads.

    Args:
        router: The one in use; one without a folder never changes.
        policy: Used where a call names none; None means the router's default.
    """

    def __init__(self, router: "Router", *, policy: str | None = None) -> None:
        self._policy = policy
        self._folder = None if router.folder is None else Path(router.folder)
        self._refreshing = threading.Lock()
        self._damaged: dict[Path, Signature] = {}
        self._seen: Signature | None = None
        self._told = ""
        self._main = self._active(router, self._folder)
        self._canary: tuple[Canary, ActiveRouter] | None = None

    @classmethod
    def load(cls, folder: Path | str, *, policy: str | None = None) -> "LiveRouter":
        """Return the router in `folder`, with its canary.

        Raises:
            ConfigError: there is no router.
            DataError: it is damaged, or was written by a newer version.
        """
        live = cls(_load(Path(folder)), policy=policy)
        live.refresh()  # takes the canary, and what was put there since
        return live

    @property
    def main(self) -> ActiveRouter:
        """The router in use."""
        return self._main

    @property
    def canary(self) -> ActiveRouter | None:
        """The router on trial; None where there is none."""
        return None if self._canary is None else self._canary[1]

    def pick(self, key: str) -> ActiveRouter:
        """Return the router that answers for `key`, the same as long as nothing changes; the one in use for ''."""
        canary = self._canary  # read once: another thread may replace it
        if canary is None or not key or not in_share(key, canary[0]):
            return self._main
        return canary[1]

    def refresh(self) -> bool:
        """Take what has changed on disk and return whether anything has; cheap enough for each second.

        A version that cannot be read is logged once and never takes the place of a good one.
        """
        if self._folder is None or not self._refreshing.acquire(blocking=False):
            return False
        try:
            seen = _signature(self._folder) + _signature(versions_of(self._folder), deep=False)
            if seen == self._seen:
                return False
            changed, is_settled = self._look(self._folder)
            if is_settled:
                self._seen = seen
            return changed
        finally:
            self._refreshing.release()

    def _look(self, folder: Path) -> tuple[bool, bool]:
        """Return whether something was replaced, and whether all was read that is there."""
        changed, is_settled = False, True
        try:
            tag = tag_of(folder)
            if tag != self._main.version:
                found = self._read(folder)
                is_settled &= found is not None or folder in self._damaged
                if found is not None:
                    self._main, changed = found, True
            state = read_state(folder)
        except ToolkitError as problem:  # being replaced at this moment, or damaged
            if str(problem) != self._told:
                logger.warning("the versions of %s cannot be read, those in use stay: %s", folder, problem)
            self._told = str(problem)
            return changed, False
        self._told = ""
        wanted, present = state.canary, self._canary
        if wanted is None:
            self._canary = None
            return changed or present is not None, is_settled
        if present is None or present[0] != wanted:
            kept = kept_folder(folder, wanted.version)
            router = present[1] if present is not None and present[0].tag == wanted.tag else self._read(kept, True)
            if router is None:
                self._canary = None
                return changed or present is not None, is_settled and kept in self._damaged
            self._canary, changed = (wanted, router), True
        return changed, is_settled

    def _read(self, folder: Path, is_canary: bool = False) -> ActiveRouter | None:
        """Return the router in `folder`; None where it cannot be read, in whole or for now."""
        from mixture_training.src.artifacts import Router

        before = _signature(folder)
        if self._damaged.get(folder) == before:
            return None
        try:
            found = self._active(Router.load(folder), folder, is_canary)
        except ToolkitError as problem:
            if _signature(folder) == before and before:  # it did not change while it was read: it is damaged
                self._damaged[folder] = before
                logger.error("%s is damaged, the router in use stays: %s", folder, problem)
            return None
        if _signature(folder) != before:
            return None
        self._damaged.pop(folder, None)
        return found

    def _active(self, router: "Router", folder: Path | None, is_canary: bool = False) -> ActiveRouter:
        from mixture_training.src.model_recommender import Recommender

        version = f"{number_in(router.data)}-unsaved"
        if folder is not None and (tag := _tag_if_same(router, folder)) is not None:
            version = tag
        return ActiveRouter(router, Recommender(router, policy=self._policy), version, is_canary)


def _tag_if_same(router: "Router", folder: Path) -> str | None:
    """Return how decisions name the router in `folder`; None where that is another one by now."""
    try:
        content = json.loads((folder / "router.json").read_text(encoding="utf-8"))
        return tag_of(folder) if content["data"] == router.data else None
    except (OSError, ValueError, KeyError, TypeError, ToolkitError):
        return None


def in_share(key: str, canary: Canary) -> bool:
    """Return whether a key belongs to the share of a canary; each canary has keys of its own."""
    digest = hashlib.blake2b(f"{canary.tag}:{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) < canary.share * 2**64


def _load(folder: Path) -> "Router":
    """Return the router in `folder`, waiting a moment where it is just being replaced."""
    from mixture_training.src.artifacts import Router

    for _ in range(_LOOKS):
        before = _signature(folder)
        try:
            return Router.load(folder)
        except (ConfigError, DataError):
            if before and before == _signature(folder):
                raise
            time.sleep(_WAIT_S / _LOOKS)
    return Router.load(folder)


def _signature(folder: Path, *, deep: bool = True) -> Signature:
    """Return what changes when a file in `folder`, or below where it is `deep`, does; nothing where there is none."""
    found = []
    try:
        for place, _, names in os.walk(folder):
            for name in names:
                about = os.stat(os.path.join(place, name))
                found.append((f"{place}/{name}", about.st_mtime_ns, about.st_size, about.st_ino))
            if not deep:
                break
    except OSError:  # it is being replaced
        return ()
    return tuple(sorted(found))
