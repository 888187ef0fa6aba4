"""A built dataset on the Hugging Face hub: push its folder, fetch it back as one.

Only the files a built dataset consists of travel: `dataset.json`, `README.md`, and the Parquet files of the splits in
`data/` and `labels/`.
"""

from pathlib import Path
from typing import Any

from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.hub_transfer import HubRepository
from dataset_build.src.interchange import read_dataset_json
from dataset_build.src.records import SPLITS

_FACTS, _CARD = "dataset.json", "README.md"
_TABLES = ("data", "labels")


def push_dataset(
    folder: Path | str,
    name: str,
    *,
    private: bool = True,
    token: str | None = None,
    commit_message: str = "Push a dataset of moe-toolkit",
) -> str:
    """Put a built dataset on the hub and return its address; `hf:org/name` then reads it wherever a dataset is named.

    Whatever else lies in the folder (the journal of the build, notes) stays here. The instructions and responses are
    those of their sources and providers: mind their terms before others may read them.

    Args:
        folder: Of a finished build.
        name: `org/name`; made where it is absent, else a commit is added.
        private: Whether only its owner may see it.
        token: May write there; None means that of `HF_TOKEN` or of `hf auth login`.
        commit_message: What the hub shows beside the commit.

    Raises:
        ConfigError: it is no finished dataset, the name is none, the token does not allow it, the hub cannot be
            reached, or the repository is public and `private` is meant.
        DataError: `dataset.json` is damaged.
    """
    repository = HubRepository.parse(name, "dataset", "dataset")
    folder = Path(folder)
    if not read_dataset_json(folder):
        raise ConfigError(
            f"{folder} is no finished dataset: it has no {_FACTS}. Push the folder that `moe build` wrote."
        )
    known = [_FACTS, _CARD, *(f"{part}/{split}.parquet" for part in _TABLES for split in SPLITS)]
    files = {name: folder / name for name in known if (folder / name).is_file()}
    if not any(name.startswith("data/") for name in files):
        raise ConfigError(f"{folder} is not whole: it has no data/train.parquet. Build it again.")
    owned = [f"{part}/" for part in _TABLES]
    return repository.push(files, private=private, token=token, message=commit_message, owned=owned)


def fetch_dataset(name: str, *, revision: str | None = None) -> Path:
    """Return a folder with the rows of the built dataset `org/name` of the hub; it lies in the hub's cache: only read.

    Unlike `hf:org/name`, it needs no further package, and keeps the experts' prices, which only `dataset.json` has.

    Args:
        name: `org/name`, `hf:org/name` or `hf:org/name@revision`.
        revision: A branch, tag or commit; None means the newest.

    Raises:
        ConfigError: the hub has no such dataset, it was not built by this toolkit, or the hub cannot be reached and
            there is no copy of before.
        DataError: `dataset.json` is damaged, or written by a newer version.
    """
    repository = HubRepository.parse(name, "dataset", "dataset of moe-toolkit", revision)
    facts = repository.fetch(_FACTS)
    folder = facts.parent
    splits = _splits(read_dataset_json(folder), facts)
    repository.fetch_all([f"data/{split}.parquet" for split in splits], folder.name)
    return folder


def _splits(facts: dict[str, Any], file: Path) -> list[str]:
    """Return the splits that have rows."""
    try:
        counts = facts["counts"]["splits"]
        return [split for split in SPLITS if counts.get(split)]
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{file} is damaged: it does not say how many rows each split has.") from None
