"""At every token a local model writes: which one it is when it samples, and whether its text is over."""

import hashlib
from collections.abc import Sequence
from typing import Any


class SeededChoice:
    """A logits processor that leaves one token per row: the one a random number of that row picks.

    A row's tokens so depend on its own seed alone, not on the rows it is batched with.
    Random numbers in [0, 1) are drawn for every row and step beforehand; the token is where the cumulated
    probabilities pass the number. The shared generator of the process is neither used nor changed.

    Args:
        seeds: One per row.
        steps: Tokens that may be written.
        start: Tokens that are there before the first written one.
        device: Of the model's scores.
    """

    def __init__(self, seeds: Sequence[str], *, steps: int, start: int, device: Any) -> None:  # noqa: ANN401
        import torch

        rows = []
        for seed in seeds:
            number = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:8], "big") >> 1
            generator = torch.Generator().manual_seed(number)
            rows.append(torch.rand(steps, generator=generator, dtype=torch.float64))
        # Metal has no doubles; elsewhere single precision is too coarse for sums over 150,000 tokens.
        self._precision = torch.float32 if device.type == "mps" else torch.float64
        self._numbers = torch.stack(rows).to(self._precision).to(device)
        self._start = start

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ANN401
        """Return scores that are minus infinity but for each row's token."""
        import torch

        step = input_ids.shape[1] - self._start
        reached = scores.to(self._precision).softmax(dim=-1).cumsum(dim=-1)
        drawn = self._numbers[:, step, None].to(reached.device) * reached[:, -1:]
        chosen = torch.searchsorted(reached, drawn, right=True).clamp(max=scores.shape[-1] - 1)
        return torch.full_like(scores, float("-inf")).scatter(1, chosen, 0.0)


class StopAtStrings:
    """A stopping criterion: a row is done when what it wrote last holds one of the strings.

    Args:
        text: Turns tokens into text.
        strings: What ends a row.
        start: Tokens that are there before the first written one.
    """

    def __init__(self, text: Any, strings: Sequence[str], *, start: int) -> None:  # noqa: ANN401
        self._text = text
        self._strings = strings
        self._start = start
        # A byte may be a token of its own, so the string that was finished last lies within as many tokens.
        self._reach = max(len(string.encode("utf-8", "replace")) for string in strings) + 4

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ANN401
        """Return for every row whether it is done."""
        import torch

        written = input_ids[:, max(self._start, input_ids.shape[1] - self._reach) :].tolist()
        tails = [self._text.decode(tokens) for tokens in written]
        done = [any(string in tail for string in self._strings) for tail in tails]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)
