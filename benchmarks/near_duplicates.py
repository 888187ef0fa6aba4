"""Near-duplicates: what is found against exact similarity, and texts per second and bytes per text.

    python benchmarks/near_duplicates.py [--pairs 6000] [--texts 200000]

Pairs are instructions of the `bundled` source of at least 20 words, with up to six words changed, added or dropped, and
for a fifth two unrelated ones. Speed and memory are of random texts of 8 to 71 words, none a duplicate of another.
"""

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_build.src.near_duplicates import RUN, SHORT, NearDuplicates
from dataset_build.src.sources.bundled.source import BundledSource
from dataset_build.src.wording import figures, words

THRESHOLD = 0.8


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=6000)
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    quality(flags.pairs, random.Random(flags.seed))
    speed(flags.texts, random.Random(flags.seed))


def quality(pairs: int, rng: random.Random) -> None:
    """Print recall and precision at the threshold, of pairs alone and of texts among thousands."""
    texts = [one.text for one in BundledSource().instructions(seed=1) if len(words(one.text)) >= 20]
    vocabulary = sorted({word for text in texts for word in words(text) if word.isalpha()})
    among = NearDuplicates(THRESHOLD)
    kept = [text for number, text in enumerate(texts) if among.find_or_add(str(number), text) is None]
    outcomes: dict[tuple[str, bool, bool], int] = {}
    for _ in range(pairs):
        text = rng.choice(kept)
        other = changed(text, vocabulary, rng) if rng.random() < 0.8 else rng.choice(texts)
        alone = NearDuplicates(THRESHOLD)
        alone.add("text", text)
        is_near = similarity(text, other) >= THRESHOLD
        cases = [("alone", alone.find(other) is not None)]
        if is_near:
            cases.append(("among", among.find(other) is not None))
        for place, is_found in cases:
            outcomes[place, is_near, is_found] = outcomes.get((place, is_near, is_found), 0) + 1
    right, missed = outcomes.get(("alone", True, True), 0), outcomes.get(("alone", True, False), 0)
    wrong = outcomes.get(("alone", False, True), 0)
    found, lost = outcomes.get(("among", True, True), 0), outcomes.get(("among", True, False), 0)
    print(f"{pairs} pairs, {right + missed} near: recall {right / (right + missed):.4f}", end=", ")
    print(f"precision {right / (right + wrong):.4f}; recall among {len(kept)} texts {found / (found + lost):.4f}")


def changed(text: str, vocabulary: list[str], rng: random.Random) -> str:
    """Return the text with some words changed, added or dropped."""
    of = text.split()
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 4, 6])):
        place = rng.randrange(len(of))
        of[place : place + rng.randrange(2)] = rng.choices(vocabulary, k=rng.randrange(2))
    return " ".join(of)


def similarity(one: str, other: str) -> float:
    """Return the exact similarity of two texts, from the sets of their runs of words."""
    if figures(words(one)) != figures(words(other)):
        return 0.0
    runs = []
    for of in (words(one), words(other)):
        length = RUN if len(of) >= SHORT else len(of)
        runs.append({tuple(of[start : start + length]) for start in range(len(of) - length + 1)})
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def speed(count: int, rng: random.Random) -> None:
    """Print how fast texts are compared and what each costs in memory, as the process grows."""
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(20_000)]
    near = NearDuplicates(THRESHOLD)
    near.find("numpy is loaded now")
    before, spent = resident_bytes(), 0.0
    for number in range(count):
        text = " ".join(rng.choices(vocabulary, k=rng.randrange(8, 72)))
        start = time.perf_counter()
        near.find_or_add(f"{number:016x}", text)
        spent += time.perf_counter() - start
    each = (resident_bytes() - before) / count
    print(f"{count} texts: {count / spent:,.0f} texts/s, {each:.0f} bytes per text")


def resident_bytes() -> int:
    """Return the memory this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
