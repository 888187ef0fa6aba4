"""The torch side of the transformer classifier: one encoder, heads for scores, categories, abilities and costs.

Imported only where a transformer is trained or run, because it imports torch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mixture_training.src.ability_head import logit
from mixture_training.src.training_data import FloatArray

#: Weights of the category, the ability and the cost loss beside the score loss.
_CATEGORY_WEIGHT, _ABILITY_WEIGHT, _COST_WEIGHT = 0.5, 0.5, 0.1
#: A cost is told between exp(−this) and exp(this) times the expert's mean.
_LOG_RANGE = 5.0


class MultiTaskModel(nn.Module):  # type: ignore[misc]
    """Mean-pooled encoder states to a logit per expert, per category and per ability, and a log cost per expert.

    Args:
        encoder: A transformer encoder with `config.hidden_size`.
        expert_means: Mean score per expert: where training starts from.
        categories: How many; 0 means no category head.
        ability_rates: Share of the instructions that ask for each ability: where training starts from. None means no
            ability head.
        has_costs: Whether there is a cost head.
    """

    def __init__(
        self,
        encoder: Any,  # noqa: ANN401
        expert_means: FloatArray,
        categories: int,
        ability_rates: FloatArray | None = None,
        *,
        has_costs: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        width = int(encoder.config.hidden_size)
        self.score_head = nn.Linear(width, len(expert_means))
        self.category_head = nn.Linear(width, categories) if categories else None
        _start_at(self.score_head, expert_means)
        self.ability_head: nn.Linear | None = None
        if ability_rates is not None and len(ability_rates):
            self.ability_head = nn.Linear(width, len(ability_rates))
            _start_at(self.ability_head, ability_rates)
        self.cost_head: nn.Linear | None = None
        if has_costs:
            self.cost_head = nn.Linear(width, len(expert_means))
            with torch.no_grad():  # at first: every call costs the expert's mean
                self.cost_head.weight.zero_()
                self.cost_head.bias.zero_()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        scores: torch.Tensor | None = None,
        categories: torch.Tensor | None = None,
        abilities: torch.Tensor | None = None,
        costs: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the logits and log costs, and the loss where the targets are given.

        Args:
            input_ids: (n, tokens).
            attention_mask: (n, tokens), 0 for padding.
            scores: (n, E), NaN where there is none.
            categories: (n,), -1 where it is unknown.
            abilities: (n, A), rows of NaN where they are unknown.
            costs: (n, E), in units of the expert's mean, NaN where unknown.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = self.dropout((states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1))
        output = {"score_logits": self.score_head(pooled)}
        if self.category_head is not None:
            output["category_logits"] = self.category_head(pooled)
        if self.ability_head is not None:
            output["ability_logits"] = self.ability_head(pooled)
        if self.cost_head is not None:
            output["log_costs"] = self.cost_head(pooled).clamp(-_LOG_RANGE, _LOG_RANGE)
        if scores is not None:
            output["loss"] = self._loss(output, scores, categories, abilities)
            if costs is not None and self.cost_head is not None:
                output["loss"] = output["loss"] + _COST_WEIGHT * _masked_poisson(output["log_costs"], costs)
        return output

    def _loss(
        self,
        output: dict[str, torch.Tensor],
        scores: torch.Tensor,
        categories: torch.Tensor | None,
        abilities: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return binary cross-entropy over the known scores, plus that of the other tasks by their weights."""
        loss = _masked_entropy(output["score_logits"], scores)
        if self.ability_head is not None and abilities is not None:
            loss = loss + _ABILITY_WEIGHT * _masked_entropy(output["ability_logits"], abilities)
        if self.category_head is not None and categories is not None:
            labelled = (categories >= 0).sum().clamp(min=1)
            entropy = functional.cross_entropy(
                output["category_logits"].float(), categories, ignore_index=-1, reduction="sum"
            )
            loss = loss + _CATEGORY_WEIGHT * entropy / labelled
        return loss

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the optimiser's groups: new heads learn ten times as fast, biases and norms do not decay."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
        return [
            {
                "params": parameters,
                "lr": learning_rate if pretrained else 10 * learning_rate,
                "weight_decay": weight_decay if is_matrix else 0.0,
            }
            for (pretrained, is_matrix), parameters in groups.items()
        ]


def _start_at(head: nn.Linear, rates: FloatArray) -> None:
    """Make a new head say `rates` of everything, nearly."""
    with torch.no_grad():
        head.weight.mul_(0.1)
        head.bias.copy_(torch.tensor(logit(rates), dtype=torch.float32))


def _masked_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross-entropy over the targets that are not NaN; 0 where all are."""
    known = ~torch.isnan(targets)
    cells = functional.binary_cross_entropy_with_logits(
        logits.float(), torch.where(known, targets, torch.zeros_like(targets)), reduction="none"
    )
    return (cells * known).sum() / known.sum().clamp(min=1)


def _masked_poisson(logs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean Poisson loss over the targets that are not NaN: least where exp(logs) is their expectation."""
    known = ~torch.isnan(targets)
    cells = torch.exp(logs.float()) - torch.where(known, targets, torch.zeros_like(targets)) * logs.float()
    return (cells * known).sum() / known.sum().clamp(min=1)


class Rows(torch.utils.data.Dataset[dict[str, Any]]):  # type: ignore[misc]
    """Tokenised instructions with their targets.

    Args:
        ids: Token ids per instruction.
        scores: (n, E), NaN where there is none.
        categories: (n,), -1 where it is unknown.
        abilities: (n, A), rows of NaN where they are unknown.
        costs: (n, E), in units of the expert's mean, NaN where unknown.
    """

    def __init__(
        self,
        ids: Sequence[list[int]],
        scores: FloatArray,
        categories: Sequence[int],
        abilities: FloatArray,
        costs: FloatArray,
    ) -> None:
        self._ids = list(ids)
        self._scores = torch.tensor(scores, dtype=torch.float32)
        self._categories = torch.tensor(np.asarray(categories), dtype=torch.long)
        self._abilities = torch.tensor(abilities, dtype=torch.float32)
        self._costs = torch.tensor(costs, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {
            "input_ids": self._ids[row],
            "scores": self._scores[row],
            "categories": self._categories[row],
            "abilities": self._abilities[row],
            "costs": self._costs[row],
        }


class Collator:
    """Pads a batch to its own longest text.

    Args:
        pad_id: The tokenizer's padding token.
    """

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return the batch."""
        longest = max(1, *(len(row["input_ids"]) for row in rows))
        ids = torch.full((len(rows), longest), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row["input_ids"])] = torch.tensor(row["input_ids"], dtype=torch.long)
            mask[place, : len(row["input_ids"])] = 1
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "scores": torch.stack([row["scores"] for row in rows]),
            "categories": torch.stack([row["categories"] for row in rows]),
            "abilities": torch.stack([row["abilities"] for row in rows]),
            "costs": torch.stack([row["costs"] for row in rows]),
        }
