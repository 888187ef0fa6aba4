"""Opens the store that a command names."""

from pathlib import Path

from dataset_build import ConfigError
from mixture_training.src.feedback_store import FeedbackStore, feedback_path
from mixture_training.src.storing.spool import drain_left_behind, spool_folder


def spool_path(folder: Path | str) -> Path:
    """Return where decisions of the router in `folder` wait for their database: beside it, wherever that is."""
    beside = feedback_path(Path(folder))
    return beside.with_name(f"{beside.name}.spool")


def spool_of(store: FeedbackStore, router: str | None) -> Path | None:
    """Return where decisions on their way to a store wait, unless a server was told another place; None if unknown."""
    if store.path is not None:
        return spool_folder(store)
    return None if router is None else spool_path(router)


def open_store(feedback: str | None, router: str | None) -> FeedbackStore:
    """Open the store that `--feedback` (a file or a URL) names, or the one beside the router.

    What a server that was killed has left in its spool is in the store when this returns.

    Raises:
        ConfigError: neither is given, or there is no such file.
        DataError: it is no feedback store.
    """
    if feedback is None and router is None:
        raise ConfigError("Give --router R (or --feedback F, the file or the URL of decisions).")
    place = str(feedback_path(Path(router))) if feedback is None and router is not None else str(feedback)
    is_url = "://" in place
    if not is_url and not Path(place).is_file():
        raise ConfigError(f"No decisions in {place}; `moe run` writes them, and `moe serve` does.")
    store = FeedbackStore(place)
    try:
        spool = spool_of(store, router)
        if spool is not None:
            drain_left_behind(store, spool)
    except BaseException:
        store.close()
        raise
    return store
