"""Score recorded responses again and compare with the published scores, class of disagreement by class.

    python benchmarks/scoring.py [--data ../shared/data]

Reads what of the recorded sets is there; prints numbers and the names of classes, never a text. Two figures are
given for each set: agreement with the record as it is, and where the record does not contradict its own reference.
"""

import argparse
import ast
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dataset_build.src.records import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.answer_text import stated_answer

#: A recorded response and what both sides gave it: reference, response, recorded score.
Row = tuple[str, str, float]
_NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")


def numbers(text: str) -> list[str]:
    """Return the numbers of a text, bare."""
    return [found.replace(",", "").replace("−", "-") for found in _NUMBER.findall(text)]


def has_answer_field(row: Row) -> bool:
    """Whether the response holds the field its prompt asked for."""
    return re.search(r"[\"']answer[\"']\s*:", row[1]) is not None


def says_so(row: Row) -> bool:
    """Whether a sentence of the response's end gives the reference's number, cents and currency aside."""
    right = numbers(row[0])[-1]
    last = row[1].strip().splitlines()[-1]
    return any(float(given) == float(right) for given in numbers(last.replace("$", " ")))


def starts_with_it(row: Row) -> bool:
    """Whether the first number of a longer answer (two values, a factor of a root) is the reference's."""
    stated = stated_answer(row[1]).strip().strip("$ %.")
    is_just_that = _NUMBER.fullmatch(stated) is not None or len(stated) > 200
    return not is_just_that and numbers(stated)[:1] == numbers(row[0])[-1:]


def is_empty_text(row: Row) -> bool:
    """Whether the right answer is the empty string."""
    return row[0].strip() in ("''", '""')


def is_another_spelling(row: Row) -> bool:
    """Whether the answer is the reference's value in other spaces, quotes or order."""
    try:
        return bool(ast.literal_eval(stated_answer(row[1]).strip()) == ast.literal_eval(row[0]))
    except (SyntaxError, ValueError, TypeError):
        return False


def answers_in_brackets(row: Row) -> bool:
    """Whether the response holds "[Yes]" or "[No]", as its prompt asked."""
    return re.search(r"\[(?:yes|no)\]", row[1], re.IGNORECASE) is not None


def has_box(row: Row) -> bool:
    """Whether the response holds the box its prompt asked for."""
    return "boxed" in row[1]


@dataclass(frozen=True)
class Class:
    """A kind of disagreement: who is wrong, and how it is recognised."""

    name: str
    wrong: str
    recorded: float
    applies: Callable[[Row], bool]


@dataclass(frozen=True)
class Recorded:
    """A recorded set, the metric that fits it and the agreement asked for."""

    file: str
    category: str
    metric: str
    wanted: float
    classes: tuple[Class, ...]

    @property
    def name(self) -> str:
        """The set as the table shows it."""
        return f"{self.file} {self.category}"


NO_ANSWER = Class(
    "no answer in the form asked for, recorded as right", "record", 1.0, lambda row: not has_answer_field(row)
)
FIRST_NUMBER = Class(
    "another value that begins with the right number, recorded as right", "record", 1.0, starts_with_it
)
SETS = (
    Recorded("zeroeval12", "gsm8k", "number", 0.995, (NO_ANSWER, FIRST_NUMBER)),
    Recorded("zeroeval12", "math_l5", "math", 0.97, (NO_ANSWER, FIRST_NUMBER)),
    Recorded(
        "zeroeval12",
        "crux",
        "python_literal",
        0.98,
        (
            Class("the empty string is right, recorded as no answer", "record", 0.0, is_empty_text),
            Class("the same value in another spelling, recorded as wrong", "record", 0.0, is_another_spelling),
        ),
    ),
    Recorded(
        "routellm_gsm8k",
        "gsm8k",
        "number",
        0.99,
        (Class("right by its last line; the record reads the last run of digits", "record", 0.0, says_so),),
    ),
    Recorded(
        "llmdrift4",
        "prime",
        "label",
        0.98,
        (Class('neither "[Yes]" nor "[No]", recorded as no', "record", 1.0, lambda row: not answers_in_brackets(row)),),
    ),
    Recorded(
        "llmdrift4",
        "happy_number",
        "number",
        0.98,
        (
            Class(
                "cut off before its answer; its last number happens to be right",
                "ours",
                0.0,
                lambda row: not has_box(row),
            ),
        ),
    ),
)


def score_again(recorded: Recorded, table: pd.DataFrame) -> None:
    """Print the agreement for one set and every class of disagreement."""
    rows = table[(table["category"] == recorded.category) & table["response"].notna()]
    scorer = scorers[recorded.metric]()
    agreed, classes = 0, Counter[tuple[str, str]]()
    started = time.perf_counter()
    for given in rows.itertuples():
        reference = str(given.reference).rsplit("####")[-1].strip()
        ours = scorer.score(Instruction.create(given.instruction, reference=reference), given.response).value
        if ours == given.score:
            agreed += 1
            continue
        row = (reference, given.response, float(given.score))
        found = next((kind for kind in recorded.classes if kind.recorded == given.score and kind.applies(row)), None)
        other = "other, recorded as right" if given.score else "other, recorded as wrong"
        classes[(found.wrong, found.name) if found else ("ours", "no score" if ours is None else other)] += 1
    seconds = time.perf_counter() - started
    faults = sum(count for (wrong, _), count in classes.items() if wrong == "record")
    print(
        f"{recorded.name:28} {recorded.metric:15} {len(rows):6,} rows  agreement {agreed / len(rows):.2%} "
        f"(asked {recorded.wanted:.1%}), without the record's faults {agreed / (len(rows) - faults):.2%}; "
        f"{len(rows) / seconds:,.0f} a second"
    )
    for (wrong, name), count in classes.most_common():
        print(f"    {count:5}  {wrong:6} wrong: {name}")


def main() -> None:
    """Score what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    folder: Path = parser.parse_args().data
    for recorded in SETS:
        file = folder / f"{recorded.file}.parquet"
        if not file.is_file():
            print(f"{recorded.name}: not here ({file.name} is not in the data folder), left out")
            continue
        score_again(recorded, pd.read_parquet(file))


if __name__ == "__main__":
    main()
