"""The file beside a dataset's tables that holds what its judges replied, so that nothing is judged and paid twice."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from dataset_build.src.errors import DataError
from dataset_build.src.judging.judges import PREFIX
from dataset_build.src.records import Response
from dataset_build.src.response_store import ResponseStore

JUDGEMENTS = "judgements.parquet"
#: Rows per Parquet row group, and in memory.
ROW_GROUP = 20_000

_KINDS = {
    "request": "string", "instruction_id": "string", "expert": "string", "text": "string", "prompt_tokens": "int64",
    "completion_tokens": "int64", "cached_tokens": "int64", "reasoning_tokens": "int64", "cost": "double",
    "latency_s": "double", "model": "string", "finish_reason": "string", "tokens_estimated": "bool",
}  # fmt: skip


def write_judgements(folder: Path, store: ResponseStore) -> int:
    """Write the replies of all judges in a journal; return how many. Failed calls are not among them."""
    import pyarrow as pa
    import pyarrow.parquet

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in _KINDS.items()])
    count = 0
    rows: list[dict[str, Any]] = []
    with pyarrow.parquet.ParquetWriter(folder / JUDGEMENTS, schema, compression="zstd") as file:

        def flush() -> None:
            file.write_table(pa.Table.from_pylist(rows, schema=schema))
            rows.clear()

        for request, response in store.responses():
            if response.text is None or not response.expert.startswith(PREFIX):
                continue
            rows.append({"request": request, **{name: getattr(response, name) for name in _KINDS if name != "request"}})
            count += 1
            if len(rows) >= ROW_GROUP:
                flush()
        if rows:
            flush()
    return count


def read_judgements(folder: Path) -> Iterator[tuple[str, Response]]:
    """Yield (request, response) for every reply that `write_judgements` wrote; nothing where there is no such file.

    Raises:
        DataError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet

    path = folder / JUDGEMENTS
    if not path.is_file():
        return
    known = {field.name for field in fields(Response)}
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROW_GROUP):
                for row in batch.to_pylist():
                    yield row["request"], Response(**{name: row[name] for name in _KINDS if name in known})
    except (pa.ArrowException, OSError, KeyError) as problem:
        raise DataError(f"Cannot read {path}: {' '.join(str(problem).split())[:300]}") from None
