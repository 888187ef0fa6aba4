"""Convert what others have published into the interchange form, and say what was kept, dropped and unknown."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dataset_build.src.errors import ConfigError
from dataset_build.src.imported_rows import ImportSummary, RowCollector
from dataset_build.src.importers import import_formats
from dataset_build.src.importers.base import ImportFormat
from dataset_build.src.importers.input_file import ENDINGS, PICKLES, InputFile
from dataset_build.src.importers.interchange_rows import InterchangeRows
from dataset_build.src.interchange import FORMATS

#: Columns of an unrecognised file that a message lists.
LISTED_COLUMNS = 20


def import_dataset(
    paths: Sequence[str | Path],
    *,
    output: str | Path,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    experts: Sequence[str] = (),
    source: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> ImportSummary:
    """Write the rows of other projects' files as one file in interchange form.

    Splits are the files' own where they have any, else by hash of the text as everywhere. Of two rows of one
    instruction and expert the first stays. Rows stream through a file beside the output, so memory grows with the
    instructions and not with the answers; the output appears whole or not at all.

    Args:
        paths: Files, or folders of them (what is of no known format inside a folder is skipped).
        output: A `.parquet`, `.jsonl` or `.csv` file.
        format: A registered import format; None recognises it by the columns, file by file.
        columns: Canonical name -> name in the files, for plain rows.
        experts: The only ones to keep; empty keeps all.
        source: What the `source` column says where the file says nothing; None is the format's name.
        seed: Of the splits.
        overwrite: Whether a file at `output` may be replaced.

    Raises:
        ConfigError: a file is not there, of no known format or a pickle; or the output cannot be written.
        DataError: a file is damaged, or no row is left to write; the message says where.
    """
    target = Path(output)
    _check_output(target, overwrite)
    formats = _Formats(format, columns)
    summary = ImportSummary(target)
    files = _recognise(paths, formats, summary)
    if any(file.path.absolute() == target.absolute() for file, _ in files):
        raise ConfigError(f"{target} is one of the files to import; give another --output.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".import-") as folder:
            with RowCollector(Path(folder), summary, source=source, experts=experts) as rows:
                for file, reader in files:
                    for row in reader.rows(file):
                        rows.add(row, file, default_source=reader.source)
            for reader in formats.known.values():
                rows.take_counts(reader)
            rows.write(Path(folder) / target.name, seed)
            (Path(folder) / target.name).replace(target)
    except OSError as problem:
        raise ConfigError(f"Cannot write {target}: {problem.strerror or problem}.") from None
    return summary


class _Formats:
    """The formats in question, one object each."""

    def __init__(self, only: str | None, columns: Mapping[str, str] | None) -> None:
        if columns and only not in (None, "interchange"):
            raise ConfigError(f"--columns goes with plain rows; the columns of {only} are known. Leave it out.")
        if columns:
            only = "interchange"
        self.known: dict[str, ImportFormat] = {
            name: InterchangeRows(columns) if name == "interchange" else import_formats[name]()
            for name in ([only] if only else import_formats)
        }

    def of(self, file: InputFile) -> str | None:
        """Return the format of `file`; None where there is none.

        Raises:
            ConfigError: it may be of several.
        """
        names = [name for name, one in self.known.items() if one.detects(file)]
        if len(names) > 1:
            raise ConfigError(f"{file} may be of the formats {' and '.join(names)}; say which with --format.")
        return names[0] if names else None

    def unknown(self, file: InputFile) -> ConfigError:
        """Return the error that says what was found instead, and what comes nearest.

        Raises:
            DataError: it is damaged, so its columns say little.
        """
        plain = self.known.get("interchange")
        if len(self.known) == 1 and isinstance(plain, InterchangeRows) and not file.is_object:
            return ConfigError(plain.lacking(file))
        if file.ending == ".json" and file.columns:
            file.document()
        what = "keys" if file.is_object or file.ending in (".json", ".jsonl") else "columns"
        found = ", ".join(file.columns[:LISTED_COLUMNS]) or "none"
        if len(file.columns) > LISTED_COLUMNS:
            found += f" and {len(file.columns) - LISTED_COLUMNS} more"
        shared = {name: len(set(one.keys) & set(file.columns)) for name, one in self.known.items()}
        best = max(shared, key=lambda name: shared[name])
        close = f" Nearest: {best}, {self.known[best].description}." if shared[best] else ""
        given = f"not of the format {best}" if len(self.known) == 1 else "of no known format"
        return ConfigError(
            f"{file} is {given}. Its {what}: {found}.{close} Formats: {', '.join(import_formats)}. "
            "Name the columns of plain rows with --columns instruction=A,expert=B,score=C."
        )


def _recognise(
    paths: Sequence[str | Path], formats: _Formats, summary: ImportSummary
) -> list[tuple[InputFile, ImportFormat]]:
    """Return the files with their formats in the order to read them."""
    files: list[tuple[InputFile, ImportFormat]] = []
    for path in map(Path, paths):
        for part in _parts(path):
            file = InputFile(part)
            name = formats.of(file)
            if name is not None:
                summary.formats[name] += 1
                files.append((file, formats.known[name]))
            elif path.is_dir():
                summary.skipped.append(part)
            else:
                raise formats.unknown(file)
    if not files:
        raise ConfigError(
            f"Nothing to import in {', '.join(map(str, paths))}: of its {len(summary.skipped)} data files none is of "
            f"a known format ({', '.join(formats.known)})."
        )
    return sorted(files, key=lambda pair: pair[1].order(pair[0]))


def _parts(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    wanted = tuple(ending + zipped for ending in (*ENDINGS, *PICKLES) for zipped in ("", ".gz"))
    return sorted(part for part in path.rglob("*") if part.is_file() and part.name.lower().endswith(wanted))


def _check_output(target: Path, overwrite: bool) -> None:
    if target.suffix not in FORMATS:
        raise ConfigError(f"{target} ends in {target.suffix!r}; expected one of {', '.join(FORMATS)}.")
    if target.is_dir() or (target.exists() and not overwrite):
        raise ConfigError(f"{target} exists already; give another --output, or --overwrite to replace a file.")
