"""Several streams of instructions → one, in stated proportions from the first instruction to the last."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from dataset_build.src.errors import ConfigError
from dataset_build.src.records import Instruction


def in_proportion(
    streams: Sequence[Iterator[Instruction]], weights: Sequence[float], caps: Sequence[int | None]
) -> Iterator[Instruction]:
    """Yield the instructions of all streams so that any prefix holds them in proportion to `weights`.

    While no stream ends, each is always less than one instruction away from its share. A stream that runs dry or
    meets its cap leaves its share to the others, in proportion to theirs. Equal weights take turns in the order
    given. Nothing is random and nothing is read ahead.

    Args:
        streams: Each is read only when its turn has come.
        weights: A share of the mixture for each stream; they need not sum to anything.
        caps: The most instructions to take from each stream; None means all.

    Raises:
        ConfigError: a weight is not a positive number, a cap is below 1, or their count is not that of the streams.
    """
    if not len(streams) == len(weights) == len(caps):
        raise ConfigError(
            f"{len(streams)} streams came with {len(weights)} weights and {len(caps)} caps; give each one of both."
        )
    for weight in weights:
        if not (math.isfinite(weight) and weight > 0):
            raise ConfigError(
                f"The weight of a source is {weight:g}; it must be above 0. Leave the source out instead."
            )
    for cap in caps:
        if cap is not None and cap < 1:
            raise ConfigError(f"The limit of a source is {cap}; it must be at least 1.")
    return _mixed([_Share(*one) for one in zip(streams, _whole(weights), caps, strict=True)])


class _Share:
    """A stream, its weight, and how many of its instructions were taken."""

    def __init__(self, stream: Iterator[Instruction], weight: int, cap: int | None) -> None:
        self.stream = stream
        self.weight = weight
        self.cap = cap
        self.taken = 0


def _mixed(live: list[_Share]) -> Iterator[Instruction]:
    """Earliest deadline first, among the streams whose next instruction is due.

    Of the first n instructions, a stream of weight w among a total of W is owed n·w/W. Its next one is due as soon as
    it is owed more than it gave, and late when it is owed a whole one more. On one processor this order meets every
    deadline, which is why no stream strays by one (Baruah, Cohen, Plaxton, Varvel: Proportionate progress, 1996).
    """
    total = sum(share.weight for share in live)
    taken = 0
    while live:
        due = (share for share in live if share.taken * total < (taken + 1) * share.weight)
        chosen = min(due, key=lambda share: Fraction(share.taken + 1, share.weight))
        instruction = next(chosen.stream, None)
        if instruction is not None:
            chosen.taken += 1
            taken += 1
            yield instruction
        if instruction is None or chosen.taken == chosen.cap:
            live.remove(chosen)
            total -= chosen.weight
            taken -= chosen.taken


def _whole(weights: Sequence[float]) -> list[int]:
    """Return whole numbers in the ratio of the weights as they are written (0.1 is a tenth)."""
    exact = [Fraction(str(weight)) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in exact))
    return [int(weight * scale) for weight in exact]
