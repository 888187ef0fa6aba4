"""Source configurations → instructions."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_build.src.cleaning import Cleaner
from dataset_build.src.config import SourceConfig, validate
from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.mixing import in_proportion
from dataset_build.src.options import check_options
from dataset_build.src.records import Instruction
from dataset_build.src.registry import nearest
from dataset_build.src.sources import sources
from dataset_build.src.sources.base import Source

logger = logging.getLogger(__name__)

HUB_PREFIX = "hf:"
FILE_ENDINGS = (".jsonl", ".csv", ".parquet")


def load_instructions(configs: Sequence[SourceConfig], *, seed: int = 0, limit: int | None = None) -> list[Instruction]:
    """Return the instructions of all sources, mixed by their weights, so that a limit keeps some of each.

    An id that came before is dropped; the same text with another reference has another id and stays.

    Args:
        configs: The sources.
        seed: Of everything random in them.
        limit: At most this many; None means all.

    Raises:
        ConfigError: a source or option is unknown, or a source cannot be found or reached.
        DataError: there are no instructions, a row is not usable, or one id stands for two texts.
    """
    with gather(configs, seed=seed, limit=limit) as store:
        return list(store)


def gather(
    configs: Sequence[SourceConfig], *, seed: int = 0, limit: int | None = None, cleaner: Cleaner | None = None
) -> InstructionStore:
    """Return the same as `load_instructions`, on disk instead of in memory.

    Args:
        configs: The sources.
        seed: Of everything random in them.
        limit: At most this many; None means all.
        cleaner: What drops duplicates and contaminated instructions; None drops only repeated ids.
    """
    loaded = [load_source(config) for config in configs]
    if limit is not None and limit < 1:
        raise ConfigError(f"The limit is {limit}; it must be at least 1.")
    streams: list[Iterator[Instruction]] = [source.instructions(seed=seed, limit=None) for source in loaded]
    if cleaner is not None:
        streams = [cleaner.kept(stream) for stream in streams]
    mixed = in_proportion(streams, [config.weight for config in configs], [config.limit for config in configs])
    store = InstructionStore()
    try:
        duplicates = 0
        for instruction in mixed:
            duplicates += not store.add(instruction)
            if limit is not None and len(store) >= limit:
                break
        names = ", ".join(config.source for config in configs)
        if not len(store) and cleaner is not None and cleaner.report.dropped:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in cleaner.report.dropped.items())
            raise DataError(
                f"Every instruction of {names} was dropped ({reasons}); look at --decontaminate and --deduplicate."
            )
        if not len(store):
            raise DataError(f"The sources hold no instructions: {names}. Give at least one instruction.")
    except BaseException:
        store.close()
        raise
    if duplicates:
        logger.info("%d of %d instructions came twice and were dropped", duplicates, duplicates + len(store))
    if cleaner is not None:
        cleaner.report.log()
    logger.info("%d instructions from %s", len(store), names)
    return store


def load_source(config: SourceConfig) -> Source:
    """Return the source a configuration describes.

    Raises:
        ConfigError: the source or one of its options is unknown; the message names the nearest.
    """
    if config.source not in sources:
        config = parse_source(config.source, options=config.options())
    source_class = sources[config.source]
    return source_class(**check_options(source_class, config.options(), where=f"Source {config.source!r}"))


def parse_source(text: str, *, options: Mapping[str, Any] | None = None) -> SourceConfig:
    """Return what the command-line shorthand `text` stands for.

    Args:
        text: A registered name (`bundled`), the path of a file, or `hf:org/name`, `hf:org/name:config`, `hf:/folder`.
        options: Further options of the source, such as `columns`.

    Raises:
        ConfigError: it is none of these.
    """
    given = dict(options or {})
    if text.startswith(HUB_PREFIX):
        dataset = text.removeprefix(HUB_PREFIX)
        if not Path(dataset).exists():
            dataset, _, config = dataset.partition(":")
            if config:
                given["config"] = config
        given = {"dataset": dataset, **given}
        name = "hf"
    elif text in sources:
        name = text
    elif text.lower().endswith(FILE_ENDINGS) or "/" in text or Path(text).exists():
        given = {"path": text, **given}
        name = "file"
    else:
        known = list(sources)
        raise ConfigError(
            f"Unknown source {text!r}.{nearest(text, known)} Known: {', '.join(known)}, "
            f"a file ({', '.join(FILE_ENDINGS)}), hf:org/name."
        )
    return validate(SourceConfig, {"source": name, **given}, where=f"Source {text!r}")
