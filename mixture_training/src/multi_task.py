"""The torch side of the transformer classifier: one encoder, a head for scores, a head for categories.

Imported only where a transformer is trained or run, because it imports torch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mixture_training.src.training_data import FloatArray

#: Weight of the category loss beside the score loss.
_CATEGORY_WEIGHT = 0.5


class MultiTaskModel(nn.Module):  # type: ignore[misc]
    """Mean-pooled encoder states to a logit per expert and a logit per category.

    Args:
        encoder: A transformer encoder with `config.hidden_size`.
        expert_means: Mean score per expert: where training starts from.
        categories: How many; 0 means no category head.
    """

    def __init__(self, encoder: Any, expert_means: FloatArray, categories: int) -> None:  # noqa: ANN401
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        width = int(encoder.config.hidden_size)
        self.score_head = nn.Linear(width, len(expert_means))
        self.category_head = nn.Linear(width, categories) if categories else None
        level = np.clip(expert_means, 0.02, 0.98)
        with torch.no_grad():
            self.score_head.weight.mul_(0.1)
            self.score_head.bias.copy_(torch.tensor(np.log(level / (1 - level)), dtype=torch.float32))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        scores: torch.Tensor | None = None,
        categories: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the logits, and the loss where the targets are given.

        Args:
            input_ids: (n, tokens).
            attention_mask: (n, tokens), 0 for padding.
            scores: (n, E), NaN where there is none.
            categories: (n,), -1 where it is unknown.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = self.dropout((states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1))
        output = {"score_logits": self.score_head(pooled)}
        if self.category_head is not None:
            output["category_logits"] = self.category_head(pooled)
        if scores is not None:
            output["loss"] = self._loss(output, scores, categories)
        return output

    def _loss(
        self, output: dict[str, torch.Tensor], scores: torch.Tensor, categories: torch.Tensor | None
    ) -> torch.Tensor:
        """Return binary cross-entropy over the known scores plus cross-entropy over the known categories."""
        known = ~torch.isnan(scores)
        logits = output["score_logits"].float()
        cells = functional.binary_cross_entropy_with_logits(
            logits, torch.where(known, scores, torch.zeros_like(scores)), reduction="none"
        )
        loss = (cells * known).sum() / known.sum().clamp(min=1)
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


class Rows(torch.utils.data.Dataset[dict[str, Any]]):  # type: ignore[misc]
    """Tokenised instructions with their targets.

    Args:
        ids: Token ids per instruction.
        scores: (n, E), NaN where there is none.
        categories: (n,), -1 where it is unknown.
    """

    def __init__(self, ids: Sequence[list[int]], scores: FloatArray, categories: Sequence[int]) -> None:
        self._ids = list(ids)
        self._scores = torch.tensor(scores, dtype=torch.float32)
        self._categories = torch.tensor(np.asarray(categories), dtype=torch.long)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_ids": self._ids[row], "scores": self._scores[row], "categories": self._categories[row]}


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
        }
