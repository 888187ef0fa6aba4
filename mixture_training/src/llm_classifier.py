"""A language model as router: shown the experts and some examples, it names the one it would ask.

Its choice is not taken at its word. On a sample of instructions with known scores it is measured what each expert
reached where the model chose each name; a choice becomes expected scores by that table.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset_build import ConfigError, ExpertConfig
from mixture_training.src.ability_head import AbilityHead
from mixture_training.src.category_head import CategoryHead
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.encoders.factory import load_encoder, make_encoder, save_encoder
from mixture_training.src.llm_choosers import Chooser, make_chooser, parse_llm
from mixture_training.src.targets import as_scores, check_learnable
from mixture_training.src.training_data import FloatArray, TrainingData

#: Rows at an expert's overall mean that each cell of the table starts from.
_PRIOR_ROWS = 10.0
#: What of an instruction is shown, in characters.
_SHOWN, _SHOWN_IN_EXAMPLES = 2_000, 300


class LLMClassifier(Classifier):
    """Expected scores from a language model's choice among the experts' names.

    Args:
        llm: The model: `transformers_local:PATH_OR_ID`, a YAML file, or an `ExpertConfig` as a mapping.
        examples: How many solved examples from train it is shown.
        calibration_rows: At most this many validation (then train) rows are asked about to learn what a choice
            is worth; each is one call.
        encoder: For the category and ability probabilities.
        seed: Of examples and calibration rows.
    """

    kind = "llm"

    def __init__(
        self,
        llm: str | dict[str, Any] | None = None,
        examples: int = 8,
        calibration_rows: int = 200,
        encoder: str = "minilm",
        seed: int = 0,
    ) -> None:
        self.llm = llm
        self.examples = examples
        self.calibration_rows = calibration_rows
        self.encoder = encoder
        self.seed = seed

    def fit(self, train: TrainingData, validation: TrainingData) -> "LLMClassifier":
        """Choose the examples and learn from the model's own choices what they are worth."""
        if self.llm is None:
            raise ConfigError(
                "Model type llm needs a language model: --llm transformers_local:PATH_OR_ID, or a YAML file."
            )
        check_learnable(train)
        self.experts_ = train.experts
        self.category_names_, self.ability_names_ = train.category_names, train.ability_names
        self._config = parse_llm(self.llm)
        self._means = train.expert_means()
        shown = self._pick_examples(train)
        self._preamble = preamble(train, self._means, shown)
        self._chooser: Chooser = make_chooser(self._config, train.experts)
        asked = self._calibration_data(train, validation, shown)
        choices = self._chooser.choose([self._prompt(text) for text in asked[0]])
        self._outside_in_fit = int(np.isnan(choices[:, 0]).sum())
        self._asked_in_fit = len(choices)
        self._outside = 0
        self._table = table(choices, asked[1], self._means)
        self._encoder = make_encoder(self.encoder).fit(train.texts)
        vectors = self._encoder.encode(train.texts).astype(np.float64)
        self._categories, self._abilities = CategoryHead.fit(vectors, train), AbilityHead.fit(vectors, train)
        return self

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return the scores its choice stands for, the train means where it named no expert."""
        choices = self._chooser.choose([self._prompt(text) for text in texts]) if texts else self._table[:0]
        outside = np.isnan(choices).any(axis=1)
        self._outside += int(outside.sum())
        scores = np.tile(self._means, (len(texts), 1))
        scores[~outside] = choices[~outside] @ self._table
        vectors = self._encoder.encode(texts).astype(np.float64)
        return Prediction(as_scores(scores), self._categories.predict(vectors), self._abilities.predict(vectors))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the table, the prompt and the heads; the language model itself stays where it is."""
        np.savez(folder / "llm.npz", table=self._table, means=self._means)
        self._categories.save(folder / "categories.npz")
        self._abilities.save(folder)
        return {
            "options": {
                "llm": self._config.model_dump(exclude_none=True),
                "examples": self.examples,
                "calibration_rows": self.calibration_rows,
                "encoder": self.encoder,
                "seed": self.seed,
            },
            "experts": list(self.experts_),
            "category_names": list(self._categories.names),
            "ability_names": list(self._abilities.names),
            "preamble": self._preamble,
            "asked_in_fit": self._asked_in_fit,
            "outside_in_fit": self._outside_in_fit,
            "saved_encoder": save_encoder(self._encoder, folder / "encoder"),
        }

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "LLMClassifier":
        """Return the classifier that `save` wrote, asking the same language model."""
        classifier = cls(**state["options"])
        classifier.experts_ = tuple(state["experts"])
        classifier._config = ExpertConfig(**state["options"]["llm"])
        classifier._preamble = state["preamble"]
        classifier._asked_in_fit, classifier._outside_in_fit = state["asked_in_fit"], state["outside_in_fit"]
        classifier._outside = 0
        with np.load(folder / "llm.npz", allow_pickle=False) as arrays:
            classifier._table, classifier._means = arrays["table"], arrays["means"]
        classifier._encoder = load_encoder(folder / "encoder", state["saved_encoder"])
        classifier._categories = CategoryHead.load(folder / "categories.npz", tuple(state["category_names"]))
        classifier._abilities = AbilityHead.load(folder, tuple(state.get("ability_names", ())))
        classifier._chooser = make_chooser(classifier._config, classifier.experts_)
        return classifier

    def diagnostics(self) -> dict[str, Any]:
        """Return how often the model was asked while fitting, and how often it named no expert."""
        return {
            "asked_in_fit": self._asked_in_fit,
            "outside_in_fit": self._outside_in_fit,
            "outside_since": self._outside,
        }

    def _pick_examples(self, train: TrainingData) -> list[int]:
        """Return rows on which the experts differ, an equal number for each best expert as far as there are."""
        known = np.where(np.isnan(train.scores), -1.0, train.scores)
        spread = np.nanmax(np.where(np.isnan(train.scores), -np.inf, train.scores), axis=1) - np.nanmin(
            np.where(np.isnan(train.scores), np.inf, train.scores), axis=1
        )
        order = np.random.default_rng(self.seed).permutation(np.flatnonzero(spread > 1e-9))
        best = known.argmax(axis=1)
        turn: dict[int, int] = {}
        ranked: list[tuple[int, int, int]] = []
        for row in order:
            turn[int(best[row])] = turn.get(int(best[row]), 0) + 1
            ranked.append((turn[int(best[row])], len(ranked), int(row)))
        return [row for _, _, row in sorted(ranked)[: self.examples]]

    def _calibration_data(
        self, train: TrainingData, validation: TrainingData, shown: Sequence[int]
    ) -> tuple[tuple[str, ...], FloatArray]:
        chance = np.random.default_rng([self.seed, 1])
        rest = np.setdiff1d(np.arange(len(train)), np.array(shown, dtype=np.intp))
        first = chance.permutation(len(validation))[: self.calibration_rows]
        second = chance.permutation(rest)[: max(0, self.calibration_rows - len(first))]
        texts = tuple(validation.texts[row] for row in first) + tuple(train.texts[row] for row in second)
        return texts, np.concatenate([validation.scores[first], train.scores[second]])

    def _prompt(self, text: str) -> str:
        return f"{self._preamble}Instruction: {_one_line(text, _SHOWN)}\nExpert:"


def preamble(train: TrainingData, means: FloatArray, shown: Sequence[int]) -> str:
    """Return the part of the prompt that is the same for every instruction."""
    described = train.descriptions or ("",) * len(train.experts)
    lines = ["Choose the expert that answers the instruction best. Reply with the expert's name only.", "", "Experts:"]
    for name, description, mean in zip(train.experts, described, means, strict=True):
        lines.append(f"- {name}: {description or 'no description'} (mean score {mean:.2f})")
    lines.append("")
    for row in shown:
        name = train.experts[int(np.nanargmax(train.scores[row]))]
        lines += [f"Instruction: {_one_line(train.texts[row], _SHOWN_IN_EXAMPLES)}", f"Expert: {name}", ""]
    return "\n".join(lines) + "\n"


def table(choices: FloatArray, scores: FloatArray, means: FloatArray) -> FloatArray:
    """Return (E, E): row c is what every expert is expected to score where name c was chosen.

    Args:
        choices: (n, E) probabilities; rows of NaN are left out.
        scores: (n, E), NaN where there is none.
        means: (E,) overall means, which thin cells are shrunk to.
    """
    inside = ~np.isnan(choices).any(axis=1)
    weights, seen = choices[inside], scores[inside]
    known = ~np.isnan(seen)
    total = weights.T @ np.where(known, seen, 0.0) + _PRIOR_ROWS * means
    learned: FloatArray = total / (weights.T @ known.astype(np.float64) + _PRIOR_ROWS)
    return learned


def _one_line(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[:limit] + " …"
