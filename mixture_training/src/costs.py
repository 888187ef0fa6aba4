"""What a call to each expert is expected to cost, before it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dataset_build import Price
from mixture_training.src.classifier import Prediction
from mixture_training.src.cost_regression import LEAST, PRIOR_CALLS, CostRegression, fit_cost_regression
from mixture_training.src.training_data import FloatArray, TrainingData

__all__ = ["PRIOR_CALLS", "CostModel", "TokenCosts"]

#: Prices are believed where they explain recorded costs to within this share.
_AGREE = 0.05
#: Characters of a token where no recorded prompt tells better.
_CHARACTERS = 4.0


@dataclass(frozen=True)
class TokenCosts:
    """Costs of experts that charge by the token and whose tokens were recorded.

    Attributes:
        is_priced: (E,), whom this speaks for.
        prices: (3, E), USD per prompt token, per completion token, and per call.
        prompts: (2, E), tokens of every prompt and per character.
        completions: Expected completion tokens.
    """

    is_priced: npt.NDArray[np.bool_]
    prices: FloatArray
    prompts: FloatArray
    completions: CostRegression

    def predict(self, texts: Sequence[str], prediction: Prediction, prompt_tokens: FloatArray | None) -> FloatArray:
        """Return expected USD, (n, E), of those it speaks for; see `CostModel.predict`."""
        return self.cost_of(
            texts, self.completions.predict(texts, prediction.categories, prediction.vectors), prompt_tokens
        )

    def cost_of(self, texts: Sequence[str], written: FloatArray, prompt_tokens: FloatArray | None) -> FloatArray:
        """Return USD for so many written tokens, (n, E)."""
        characters = np.array([len(text) for text in texts], dtype=np.float64)
        read = self.prompts[0] + characters[:, None] * self.prompts[1]
        if prompt_tokens is not None:
            read = np.where(np.isnan(prompt_tokens), read, prompt_tokens)
        costs: FloatArray = self.prices[0] * read + self.prices[1] * written + self.prices[2]
        return costs


@dataclass(frozen=True)
class CostModel:
    """Expected USD by category, length and vector; by expected tokens and their price where both are known.

    Attributes:
        experts: The columns of the matrices.
        category_names: The order in which a `Prediction` lists its categories.
        recorded: Of the recorded costs; an expert none of whose costs is known is taken to cost what the others cost
            on average, and nothing where no cost is known at all.
        tokens: For the experts that charge by the token.
        believes_classifier: Whether the costs that a classifier predicts, where it does, are used instead.
    """

    experts: tuple[str, ...]
    category_names: tuple[str, ...]
    recorded: CostRegression
    tokens: TokenCosts | None = None
    believes_classifier: bool = False

    @property
    def overall(self) -> FloatArray:
        """(E,), mean USD per call."""
        return self.recorded.overall

    @property
    def by_category(self) -> FloatArray:
        """(C, E), mean USD per call."""
        return self.recorded.by_category

    @classmethod
    def fit(
        cls,
        data: TrainingData,
        *,
        category_names: Sequence[str] | None = None,
        vectors: npt.NDArray[np.floating] | None = None,
        prices: Sequence[Price] | None = None,
    ) -> "CostModel":
        """Learn from the observed costs of `data`; NaN costs are unknown, not zero.

        Args:
            data: The training rows.
            category_names: The classifier's `category_names_`; None means those of `data`, sorted.
            vectors: (n, d), what the classifier's predictions will carry; None uses none.
            prices: Of each expert; None, or a price that does not explain what was recorded, goes by recorded costs.
        """
        return cls.fit_left_out(data, category_names=category_names, vectors=vectors, prices=prices)[0]

    @classmethod
    def fit_left_out(
        cls,
        data: TrainingData,
        *,
        category_names: Sequence[str] | None = None,
        vectors: npt.NDArray[np.floating] | None = None,
        prices: Sequence[Price] | None = None,
    ) -> tuple["CostModel", FloatArray]:
        """Return the model, and what it expects of each row without having learned from it, (n, E); see `fit`."""
        names = tuple(data.category_names if category_names is None else category_names)
        recorded, left_out = fit_cost_regression(data.costs, data.texts, data.categories, names, vectors)
        found = None if prices is None else _fit_tokens(data, names, vectors, prices)
        if found is None:
            return cls(data.experts, names, recorded), left_out
        tokens, written = found
        by_tokens = tokens.cost_of(data.texts, written, None)
        return cls(data.experts, names, recorded, tokens), np.where(tokens.is_priced, by_tokens, left_out)

    def choose_source(self, data: TrainingData, prediction: Prediction) -> "CostModel":
        """Return the model that believes the classifier's own costs where they are nearer to those of `data`.

        Args:
            data: Rows neither has learned from.
            prediction: What the classifier expects for them.
        """
        if prediction.costs is None:
            return self
        known = ~(np.isnan(data.costs) | np.isnan(prediction.costs))
        mine = np.abs(replace(self, believes_classifier=False).predict(data.texts, prediction) - data.costs)
        other = np.abs(prediction.costs - data.costs)
        return replace(self, believes_classifier=bool(known.any() and other[known].mean() < mine[known].mean()))

    def predict(
        self, texts: Sequence[str], prediction: Prediction, *, prompt_tokens: FloatArray | None = None
    ) -> FloatArray:
        """Return the expected USD of each expert for each text, (n, E), never NaN or negative.

        Args:
            texts: The instructions.
            prediction: What the classifier expects for them; without categories the overall means are used.
            prompt_tokens: (n, E), counted by the tokenizer of each expert where one is at hand, NaN elsewhere.

        Raises:
            ValueError: the prediction lists another number of categories than the model was fitted with.
        """
        width = prediction.categories.shape[1]
        if width and width != len(self.category_names):
            raise ValueError(
                f"The cost model knows {len(self.category_names)} categories, the prediction lists {width}."
            )
        costs = self.recorded.predict(texts, prediction.categories, prediction.vectors)
        if self.tokens is not None and self.tokens.is_priced.any():
            costs = np.where(self.tokens.is_priced, self.tokens.predict(texts, prediction, prompt_tokens), costs)
        if self.believes_classifier and prediction.costs is not None:
            costs = np.where(np.isnan(prediction.costs), costs, np.maximum(prediction.costs, 0.0))
        return costs

    def to_state(self) -> dict[str, Any]:
        """Return the model as JSON-able values, its `arrays` left out."""
        tokens = self.tokens
        return {
            "kind": "category_means",
            "experts": list(self.experts),
            "category_names": list(self.category_names),
            **self.recorded.to_state(),
            "believes_classifier": self.believes_classifier,
            "tokens": None
            if tokens is None
            else {
                "is_priced": tokens.is_priced.tolist(),
                "prices": tokens.prices.tolist(),
                "prompts": tokens.prompts.tolist(),
                "completions": tokens.completions.to_state(),
            },
        }

    def arrays(self) -> dict[str, FloatArray]:
        """Return the weights of lengths and vectors, by name."""
        found = {"recorded": self.recorded.weights}
        if self.tokens is not None:
            found["completions"] = self.tokens.completions.weights
        return {name: weights for name, weights in found.items() if len(weights)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]] | None = None) -> "CostModel":
        """Return the model that `to_state` and `arrays` described; one of before has no arrays.

        Raises:
            ValueError: a number is missing or no cost.
        """
        experts, names = tuple(state["experts"]), tuple(state["category_names"])
        weights = arrays or {}
        recorded = CostRegression.from_state(state, weights.get("recorded"), len(names))
        told, tokens = state.get("tokens"), None
        if len(recorded.overall) != len(experts):
            raise ValueError("costs are not those of the experts")
        if told is not None:
            priced = np.asarray(told["is_priced"])
            prices, prompts = (np.asarray(told[part], dtype=np.float64) for part in ("prices", "prompts"))
            completions = CostRegression.from_state(told["completions"], weights.get("completions"), len(names))
            if (
                priced.shape != (len(experts),)
                or priced.dtype != np.bool_
                or prices.shape != (3, len(experts))
                or prompts.shape != (2, len(experts))
                or len(completions.overall) != len(experts)
            ):
                raise ValueError("prices are not those of the experts")
            if not all(np.isfinite(part).all() and (part >= 0.0).all() for part in (prices, prompts)):
                raise ValueError("a price is negative or missing")
            tokens = TokenCosts(priced, prices, prompts, completions)
        believes = state.get("believes_classifier", False)
        if not isinstance(believes, bool):
            raise ValueError(f"believes_classifier is {believes!r}")
        return cls(experts, names, recorded, tokens, believes)


def _fit_tokens(
    data: TrainingData,
    names: Sequence[str],
    vectors: npt.NDArray[np.floating] | None,
    prices: Sequence[Price],
) -> tuple[TokenCosts, FloatArray] | None:
    """Return what tokens tell, and the completion tokens expected of each row by a fit without it.

    None where no expert charges by the token, or no tokens were recorded.
    """
    read, written = data.prompt_tokens, data.completion_tokens
    if written is None:
        return None
    per_token = np.array([[p.prompt_per_million / 1e6, p.completion_per_million / 1e6, p.per_call] for p in prices]).T
    characters = np.array([len(text) for text in data.texts], dtype=np.float64)
    prompts = _prompt_lengths(characters, read, len(data.experts))
    counted = np.full(written.shape, np.nan) if read is None else read
    guessed = np.where(np.isnan(counted), prompts[0] + characters[:, None] * prompts[1], counted)
    explained = per_token[0] * guessed + per_token[1] * written + per_token[2]
    is_priced = np.zeros(len(data.experts), dtype=bool)
    for column, price in enumerate(prices):
        by_token = price.prompt_per_million > 0 or price.completion_per_million > 0
        if not by_token or price.per_core_hour > 0 or (~np.isnan(written[:, column])).sum() < LEAST:
            continue
        both = ~np.isnan(explained[:, column]) & ~np.isnan(data.costs[:, column])
        paid = data.costs[both, column]
        off = abs(float(explained[both, column].mean() - paid.mean())) if both.any() else 0.0
        is_priced[column] = not both.any() or off <= _AGREE * float(paid.mean())
    if not is_priced.any():
        return None
    counts = np.where(is_priced, written, np.nan)
    completions, left_out = fit_cost_regression(counts, data.texts, data.categories, names, vectors)
    return TokenCosts(is_priced, per_token, prompts, completions), left_out


def _prompt_lengths(characters: FloatArray, read: FloatArray | None, experts: int) -> FloatArray:
    """Return tokens of every prompt and per character for each expert, by least squares; neither is negative."""
    from scipy.optimize import nnls

    found = np.tile([[0.0], [1.0 / _CHARACTERS]], (1, experts))
    for column in range(experts if read is not None else 0):
        known = ~np.isnan(read[:, column]) if read is not None else np.zeros(0, dtype=bool)
        if read is not None and known.sum() >= LEAST:
            design = np.column_stack([np.ones(known.sum()), characters[known]])
            found[:, column] = nnls(design, read[known, column])[0]
    return found
