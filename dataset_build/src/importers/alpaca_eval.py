"""AlpacaEval (tatsu-lab/alpaca_eval): `results/MODEL/ANNOTATOR/annotations.json`, `results/MODEL/model_outputs.json`.

An annotation compares two answers: `instruction`, `dataset`, `output_1`, `generator_1` (the baseline), `output_2`,
`generator_2` (the model), `annotator` and `preference`: 1 where the baseline won, 2 where the model won, 1.5 (0 in old
files) for a draw, something between from annotators that give probabilities, null where the annotator failed.

A preference becomes the model's score against the baseline, preference - 1: 1 won, 0 lost, 0.5 a draw. The baseline
is an expert too; against itself it scores 0.5 by definition, so that all experts stand on one scale. Models that were
compared with different baselines do not: import them apart, or mind the column `metric`, which names the baseline.

`model_outputs.json` (`instruction`, `dataset`, `output`, `generator`) has no scores; given with annotations it adds the
answers that nobody judged. There are no references, costs (the prices in a file are the annotator's), tokens or splits.
"""

from collections.abc import Iterator

from dataset_build.src.importers.base import ImportFormat, Row, number, text
from dataset_build.src.importers.input_file import InputFile

DRAW_OF_OLD_FILES = 0.0


class AlpacaEval(ImportFormat):
    """Annotations and outputs."""

    description = "AlpacaEval's annotations.json (generator_1, generator_2, preference) and model_outputs.json"
    keys = (
        "dataset", "instruction", "output", "generator", "output_1", "generator_1", "output_2", "generator_2",
        "annotator", "preference",
    )  # fmt: skip
    source = "alpaca_eval"

    def detects(self, file: InputFile) -> bool:
        """Return whether it is either of the two."""
        columns = set(file.columns)
        return not file.is_object and (
            {"instruction", "generator_1", "generator_2", "preference"} <= columns
            or {"instruction", "output", "generator"} <= columns
        )

    def order(self, file: InputFile) -> float:
        """Return that outputs come last: the annotations have the same answers, with scores."""
        return 0.0 if "preference" in file.columns else 1.0

    def rows(self, file: InputFile) -> Iterator[Row]:
        """Yield two rows per annotation, or one per output."""
        judged = "preference" in file.columns
        baselines: set[str] = set()
        for record in file.records():
            shared: Row = {"instruction": text(record.get("instruction")), "category": text(record.get("dataset"))}
            if not judged:
                yield {**shared, "expert": text(record.get("generator")), "response": text(record.get("output"))}
                continue
            baseline = str(record.get("generator_1"))
            metric = f"preference_over_{baseline}"
            preference = number(record.get("preference"), file)
            if preference == DRAW_OF_OLD_FILES:
                preference = 1.5
            yield {
                **shared,
                "expert": text(record.get("generator_2")),
                "response": text(record.get("output_2")),
                "score": None if preference is None else preference - 1,
                "metric": metric,
            }
            if record.get("output_1") is not None:
                yield {
                    **shared, "expert": baseline, "response": text(record["output_1"]), "score": 0.5, "metric": metric,
                }  # fmt: skip
            baselines.add(baseline)
        for baseline in sorted(baselines):
            self.notes[f"Preferences of 1 to 2 became scores of 0 to 1 against {baseline}, which itself has 0.5."] = (
                None
            )
