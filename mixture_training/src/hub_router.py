"""A router on the Hugging Face hub: fetch it, keep a copy of it to work with, push it.

Fetched is what `router.json` lists, as far as it is of a kind that a router folder holds, into the hub's own cache.
From there it is copied to a folder in which it can be updated and beside which its feedback is kept.
"""

import json
import logging
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dataset_build import ConfigError, DataError, HubRepository, sha256_of, write_atomically
from mixture_training.src.hub_places import ORIGIN, working_copy
from mixture_training.src.version_folders import UpdateRunningError, only_one, put_folder, read_state

logger = logging.getLogger(__name__)

_JSON, _CARD, _WEIGHTS = "router.json", "README.md", "weights/"
#: Files beside the weights.
_BESIDE = ("routing.npz", "training_data.parquet")
#: Endings of files of weights: numbers, vocabularies and settings; nothing that is run or unpickled.
_ENDINGS = (".json", ".jinja", ".model", ".npz", ".onnx", ".safetensors", ".txt", ".ubj")
#: Kinds of classifiers and encoders that send what is routed to an address, with a key that `router.json` names.
_ASKING = ("llm", "openai")
#: Bytes that no `router.json` of ours comes near.
_LARGEST_JSON = 256 * 1024 * 1024


@dataclass(frozen=True)
class Origin:
    """Where a working copy came from.

    Attributes:
        commit: Of the hub.
        router_json: SHA-256 of its `router.json`; the copy has another one once it was updated here.
    """

    commit: str
    router_json: str


def find_router(name: Path | str, revision: str | None = None, *, is_fresh: bool = True) -> Path:
    """Return the folder of the router that `name` means: a folder itself, the working copy of one on the hub.

    The working copy follows the hub until it is updated here; from then on it stays as it is, and a newer one on the
    hub is only told of. A hub that cannot be reached leaves what was there before.

    Args:
        name: A folder, `org/name`, `hf:org/name` or `hf:org/name@revision`.
        revision: A branch, tag or commit of a router on the hub; None means the newest.
        is_fresh: Whether the hub is asked even where there is a working copy.

    Raises:
        ConfigError: there is no such folder and the hub has no such router or does not answer in time, or the router
            asks an endpoint to decide.
        DataError: what the hub has is damaged, or holds what no router does.
    """
    text = str(name)
    folder = Path(text).expanduser()
    if not text.startswith("hf:") and (folder.exists() or text.startswith((".", "/", "~")) or text.count("/") != 1):
        if revision is not None:
            raise ConfigError(f"revision={revision!r} is for routers of the hub, and {text} is a folder; leave it out.")
        return folder
    repository = HubRepository.parse(text, "model", "router", revision)
    place = working_copy(repository.name, repository.revision)
    is_here = (place / _JSON).is_file()
    if is_here and not is_fresh:
        return place
    try:
        _take(repository, place)
    except ConfigError as problem:
        if not is_here:
            raise
        logger.warning("%s The copy of before in %s is used.", problem, place)
    return place


def push_router(folder: Path, name: str, *, private: bool, token: str | None, commit_message: str) -> str:
    """Put the router in `folder`, which was written for that, on the hub and return its address.

    Only what `router.json` lists goes there; the card comes to say how it is loaded from there.

    Raises:
        ConfigError: the name is none, the token does not allow it, the hub cannot be reached, or the repository is
            public and `private` is meant.
        DataError: the router holds a file of a kind that is not fetched again.
    """
    repository = HubRepository.parse(name, "model", "router")
    listed = _listed(folder / _JSON, _content(folder / _JSON))
    card = folder / _CARD
    text = card.read_text(encoding="utf-8")
    card.write_text(
        text.replace('.load("PATH_OF_THIS_FOLDER")', f'.from_pretrained("{repository.name}")'), encoding="utf-8"
    )
    files = {file: folder / file for file in (_JSON, _CARD, *listed)}
    return repository.push(files, private=private, token=token, message=commit_message, owned=[_WEIGHTS, *_BESIDE])


def without_paths(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts about a router, of each path from the root the last part only."""

    def shortened(value: Any) -> Any:  # noqa: ANN401 - any JSON-able value
        if isinstance(value, dict):
            return {name: shortened(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [shortened(part) for part in value]
        return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value

    return dict(shortened(facts))


def _take(repository: HubRepository, place: Path) -> None:
    """Make or renew the working copy from the hub.

    Raises:
        ConfigError: the hub does not have it or cannot be reached, or the place cannot be written.
        DataError: it is damaged.
    """
    facts = repository.fetch(_JSON)
    snapshot, origin = facts.parent, Origin(facts.parent.name, sha256_of(facts))
    record = place.with_name(ORIGIN)
    here, before = _digest(place), _read_origin(record)
    if here == origin.router_json:
        if before != origin:
            _write_origin(record, origin)
        return
    if here is not None and (before is None or before.router_json != here or read_state(place).canary is not None):
        if before is None or before.commit != origin.commit:
            logger.warning(
                "%s was updated here, so that the newer one on the hub (%s) is not taken; to have that, move the "
                "folder away, or name the revision.",
                place,
                origin.commit[:8],
            )
        return
    content = _content(facts)
    listed = _listed(facts, content)
    if _asks(content.get("classifier"), content.get("options")):
        raise ConfigError(
            f"{repository.name} decides by asking an endpoint, to which it would send every instruction and a key of "
            "this machine. Routers like this are not taken from the hub; download the folder yourself, look at its "
            f"{_JSON}, and name the folder."
        )
    repository.fetch_all(listed, snapshot.name)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
        try:
            _copy(snapshot, made, listed)
            os.chmod(made, 0o755)
            with only_one(place):
                if here == _digest(place):  # it was not updated in the meantime
                    put_folder(made, place)
                    _write_origin(record, origin)
        except UpdateRunningError:  # it, or another command that fetches it, is at it
            if not (place / _JSON).is_file():
                raise
            logger.warning("%s is being updated; it is used as it is.", place)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as problem:
        raise ConfigError(
            f"Cannot keep {repository.name} in {place}: {problem.strerror or problem}. Name a folder that can be "
            "written in the environment variable MOE_TOOLKIT_DATA."
        ) from None


def _copy(snapshot: Path, made: Path, listed: dict[str, str]) -> None:
    """Copy the router out of the hub's cache, which links its files, and check them on the way."""
    for name in (_JSON, *listed):
        target = made.joinpath(*PurePosixPath(name).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot.joinpath(*PurePosixPath(name).parts), target)
        if name in listed and sha256_of(target) != listed[name]:
            raise DataError(f"{snapshot / name} is damaged (its SHA-256 differs); remove it there and fetch it again.")


def _content(facts: Path) -> dict[str, Any]:
    """Return what a `router.json` says.

    Raises:
        DataError: it is damaged.
    """
    try:
        if facts.stat().st_size > _LARGEST_JSON:
            raise ValueError(f"it has more than {_LARGEST_JSON} bytes")
        return dict(json.loads(facts.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as problem:
        raise DataError(f"{facts} is damaged ({problem}).") from None


def _listed(facts: Path, content: dict[str, Any]) -> dict[str, str]:
    """Return the files that a `router.json` lists, with their SHA-256.

    Raises:
        DataError: it lists none, or what no router holds.
    """
    listed = content.get("files")
    if not isinstance(listed, dict):
        raise DataError(f"{facts} is damaged: it lists no files.")
    for name in listed:
        path = PurePosixPath(name)
        is_inside = name == path.as_posix() and ".." not in path.parts and "\\" not in name
        if not is_inside or not (name in _BESIDE or (name.startswith(_WEIGHTS) and path.suffix in _ENDINGS)):
            raise DataError(f"{facts} lists {name!r}, which is no kind of file that a router holds; do not use it.")
    return {name: str(digest) for name, digest in listed.items()}


def _asks(*parts: Any) -> bool:  # noqa: ANN401 - any parts of a JSON file
    """Return whether parts of `router.json` name what asks an endpoint, at whatever depth."""
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if part.get("kind") in _ASKING:
                return True
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str) and any(name.strip().startswith("openai:") for name in part.split("+")):
            return True
    return False


def _digest(place: Path) -> str | None:
    """Return the SHA-256 of the `router.json` in a folder; None where there is none."""
    file = place / _JSON
    return sha256_of(file) if file.is_file() else None


def _read_origin(record: Path) -> Origin | None:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        return Origin(str(content["commit"]), str(content["router_json"]))
    except (OSError, ValueError, KeyError, TypeError):  # without it the copy counts as updated here
        return None


def _write_origin(record: Path, origin: Origin) -> None:
    write_atomically(record, (json.dumps(asdict(origin), indent=2) + "\n").encode())
