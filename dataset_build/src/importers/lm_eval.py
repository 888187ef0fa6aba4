"""lm-evaluation-harness (EleutherAI/lm-evaluation-harness), `--log_samples`: `MODEL/samples_TASK_TIME.jsonl`.

A line is one document under one filter: `doc_id`, `doc` (the task's own record), `target`, `arguments` (`gen_args_0`:
`arg_0` is the prompt, `arg_1` the continuation or the options), `resps`, `filtered_resps`, `filter`, `metrics` (the
names of the metrics, which are keys of their own), `doc_hash`, `prompt_hash`, `target_hash`. `results_TIME.json`,
beside the samples or given with them, has `model_name` and `higher_is_better`; without it the model is the folder's
name, in which the harness writes `__` for `/`.

- instruction: the question in `doc` (the first of `QUESTION_KEYS`, after its passage, with its choices as lettered
  lines), because the prompt holds the shots and the model's own chat template; where the doc has none of the keys, the
  prompt as the first model got it.
- score: the first of the task's metrics, in its own order, that is a number or a truth in [0, 1] and of which more is
  better; none of `LESS_IS_BETTER`, or of what the results file says so of.
- filter: where a document is there under several, the one that comes first in the file.
- response: the first generated text; where choices were weighed by likelihood, the likeliest.

There are no costs, tokens or latencies, and no split: the documents are the task's test set.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dataset_build.src.errors import DataError
from dataset_build.src.importers.base import ImportFormat, Row, text, with_choices
from dataset_build.src.importers.input_file import InputFile
from dataset_build.src.records import instruction_id

QUESTION_KEYS = (
    "question", "query", "prompt", "problem", "instruction", "input", "goal", "question_stem", "ctx", "sentence",
)  # fmt: skip
PASSAGE_KEYS = ("passage", "context", "support")
LESS_IS_BETTER = frozenset(
    {"bits_per_byte", "brier_score", "byte_perplexity", "perplexity", "ter", "wer", "word_perplexity"}
)
#: Keys of a line that are no metrics, for logs written before `metrics` was.
_OWN_KEYS = frozenset(
    {
        "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash",
        "prompt_hash", "target_hash",
    }
)  # fmt: skip
_SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")


class LMEvalSamples(ImportFormat):
    """Sample logs, and the results they belong to."""

    description = "lm-evaluation-harness sample logs (doc_id, doc, target, arguments, resps, filtered_resps)"
    keys = tuple(_OWN_KEYS)
    source = "lm_eval"

    def __init__(self) -> None:
        super().__init__()
        self._results: dict[str, Mapping[str, Any]] = {}
        self._prompts: dict[str, str] = {}

    def detects(self, file: InputFile) -> bool:
        """Return whether it is a log or a results file."""
        return _is_results(file) or {"doc", "target", "arguments", "resps"} <= set(file.columns)

    def order(self, file: InputFile) -> float:
        """Return that results come first."""
        return -1.0 if _is_results(file) else 0.0

    def rows(self, file: InputFile) -> Iterator[Row]:
        """Yield a row per document."""
        if _is_results(file):
            self._results[str(file.path.absolute())] = file.document()
            return
        name = _SAMPLES.match(file.path.name)
        task = name["task"] if name else file.path.name.partition(".")[0].removeprefix("samples_")
        results = self._results_of(file, name["time"] if name else "")
        expert = str(results.get("model_name") or file.path.absolute().parent.name.replace("__", "/"))
        better = (results.get("higher_is_better") or {}).get(task) or {}
        filters: dict[str, str] = {}
        for record in file.records():
            used = str(record.get("filter", "none"))
            if filters.setdefault(str(record.get("doc_id")), used) != used:
                self.dropped[f"other filter ({used})"] += 1
                continue
            metric, score = _score(record, better)
            if metric is not None:
                self.notes[f"{task}: scored by {metric}{'' if used == 'none' else f', filter {used}'}."] = None
            yield {
                **self._instruction(record, task, file),
                "category": task,
                "reference": text(record.get("target")),
                "expert": expert,
                "response": _response(record),
                "score": score,
                "metric": metric,
            }

    def _results_of(self, file: InputFile, time: str) -> Mapping[str, Any]:
        folder = file.path.absolute().parent
        known = self._results.get(str(folder / f"results_{time}.json"))
        if known is None and (folder / f"results_{time}.json").is_file():
            found = InputFile(folder / f"results_{time}.json").document()
            known = self._results[str(folder / f"results_{time}.json")] = found if isinstance(found, dict) else {}
        return known or {}

    def _instruction(self, record: Mapping[str, Any], task: str, file: InputFile) -> Row:
        doc = record.get("doc")
        question = _question(doc) if isinstance(doc, dict) else None
        if question:
            return {"instruction": question}
        document = str(record.get("doc_hash") or json.dumps(doc, sort_keys=True))
        known = instruction_id(f"{self.source}/{task}", document, None)
        prompt = _argument(record, 0, "arg_0")
        if prompt is not None and not isinstance(prompt, str):
            raise DataError(f"{file.where}: the prompt is a {type(prompt).__name__}; a text was expected.")
        return {"instruction_id": known, "instruction": self._prompts.setdefault(known, prompt or "")}


def _is_results(file: InputFile) -> bool:
    return file.is_object and "results" in file.columns and bool({"configs", "config"} & set(file.columns))


def _question(doc: Mapping[str, Any]) -> str | None:
    found = next((doc[key] for key in QUESTION_KEYS if isinstance(doc.get(key), str) and doc[key].strip()), None)
    if found is None:
        return None
    passage = next((doc[key] for key in PASSAGE_KEYS if isinstance(doc.get(key), str) and doc[key].strip()), None)
    question = f"{passage}\n\n{found}" if passage else str(found)
    choices = doc.get("choices")
    if isinstance(choices, dict) and isinstance(choices.get("text"), list) and isinstance(choices.get("label"), list):
        return with_choices(question, choices["label"], choices["text"])
    if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
        return with_choices(question, [chr(ord("A") + place) for place in range(len(choices))], choices)
    return question


def _score(record: Mapping[str, Any], better: Mapping[str, Any]) -> tuple[str | None, float | None]:
    names = record.get("metrics")
    for name in names if isinstance(names, list) else [key for key in record if key not in _OWN_KEYS]:
        value = record.get(name)
        if name in LESS_IS_BETTER or better.get(name) is False:
            continue
        if isinstance(value, bool | int | float) and 0.0 <= value <= 1.0:
            return name, float(value)
    return None, None


def _response(record: Mapping[str, Any]) -> str | None:
    """Return the generated text, or the choice of the greatest likelihood; None where it is neither."""
    answers = record.get("resps")
    if not isinstance(answers, list) or not answers or not isinstance(answers[0], list) or not answers[0]:
        return None
    if isinstance(answers[0][0], str):
        return answers[0][0]
    try:
        likelihoods = [float(answer[0][0]) for answer in answers]
    except (TypeError, ValueError, IndexError):
        return None
    choice = _argument(record, likelihoods.index(max(likelihoods)), "arg_1")
    return choice.strip() if isinstance(choice, str) else None


def _argument(record: Mapping[str, Any], request: int, name: str) -> object:
    """Return an argument of a request; logs of old versions have lists where later ones have objects."""
    arguments = record.get("arguments")
    if isinstance(arguments, dict):
        return (arguments.get(f"gen_args_{request}") or {}).get(name)
    try:
        return arguments[request][int(name[-1])]  # type: ignore[index]
    except (IndexError, TypeError, KeyError):
        return None
