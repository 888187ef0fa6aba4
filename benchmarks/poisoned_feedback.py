"""How often feedback, a tenth of it poisoned, promotes a worse router, and how often honest feedback a better one.

    python benchmarks/poisoned_feedback.py [--data FILE] [--trials 200] [--judgements 2000]

A router is trained on part of a dataset (interchange form with one score per instruction and expert; without `--data`,
instructions are made up). Its traffic is drawn from another part, a tenth of it left to chance over ten days, judged by
60 users; a third part says what a router is truly worth. Then a quick update is learned and gated as `moe update` does
it. A promotion is false where the promoted router's true mean score is below the old one's by more than 0.005, and true
where it is above by more than 0.005.

Attacks, in turn, each a tenth of all feedback, by three users or by a tenth of the users: every score inverted; the
worst expert always praised; the best expert always denounced; both, the attacker judging only what serves. Each is
measured with experts as they were, and after one has degraded: from the fifth day on, the expert that the router
chooses most fails most of what it was right about.
"""

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_build import Price
from mixture_training.src.artifacts import ExpertCard, Router
from mixture_training.src.assurance import fit_assurance
from mixture_training.src.correction import Correction
from mixture_training.src.gate import decide
from mixture_training.src.judgements import Judgements, fold_of
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.quick_update import Rows, choices, empty_correction, propose, validation_rows
from mixture_training.src.training_data import TrainingData, from_frame

FloatArray = npt.NDArray[np.float64]

USERS, DAYS, EXPLORED, TENTH, FALSE = 60, 10, 0.1, 0.1, 0.005
ATTACKS = ("inverted", "praise", "denounce", "push")
START = 1_700_000_000.0


@dataclass(frozen=True)
class World:
    """A trained router with instructions to send it and instructions to judge it by."""

    router: Router
    validation: Rows
    pool: Rows
    test: Rows
    hashes: tuple[str, ...]
    novelty: FloatArray


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--worlds", type=int, default=5)
    parser.add_argument("--judgements", type=int, default=2000)
    parser.add_argument("--explored", type=float, default=EXPLORED)
    parser.add_argument("--encoder", default="static")
    parser.add_argument("--drop", type=float, default=0.7, help="share of its right answers that an expert loses")
    flags = parser.parse_args()
    worlds = [made(flags.data, flags.encoder, seed) for seed in range(flags.worlds)]
    print("| feedback | experts | promoted | falsely (95 % interval) | truly | mean true gain of those promoted | ms |")
    print("|---|---|---|---|---|---|---|")
    for poisoned in (False, True):
        for drop in (0.0, flags.drop):
            found = []
            for trial in range(flags.trials):
                rng = np.random.default_rng([trial, poisoned, drop > 0.0])
                attack = ATTACKS[trial % len(ATTACKS)] if poisoned else None
                worst = 3 if (trial // len(ATTACKS)) % 2 == 0 else USERS // 10
                found.append(tried(worlds[trial % len(worlds)], attack, worst, drop, flags, rng))
            promoted, gains, seconds = (np.array(part) for part in zip(*found, strict=True))
            false, true = promoted & (gains < -FALSE), promoted & (gains > FALSE)
            low, high = clopper_pearson(int(false.sum()), flags.trials)
            gain = f"{gains[promoted].mean():+.3f}" if promoted.any() else "–"
            print(
                f"| {'a tenth poisoned' if poisoned else 'honest'} | {'one degrades' if drop else 'as they were'} "
                f"| {promoted.mean():.1%} | {false.mean():.1%} ({low:.1%} to {high:.1%}) | {true.mean():.1%} | {gain} "
                f"| {np.median(seconds) * 1000:.0f} |",
                flush=True,
            )


def tried(
    world: World, attack: str | None, attackers: int, drop: float, flags: argparse.Namespace, rng: np.random.Generator
) -> tuple[bool, float, float]:
    """Return whether the update was promoted, what it would truly gain, and the seconds it took."""
    router, n = world.router, flags.judgements
    none = empty_correction(router)
    first = choices(router, none, world.pool.expected, world.pool.costs, world.pool.distances)
    degraded = int(np.bincount(first).argmax())
    judgements = logged(world, first, n, flags.explored, degraded, drop, rng)
    if attack is not None:
        judgements = poisoned(judgements, world, attack, attackers, first, flags.explored, rng)
    started = time.perf_counter()
    weights = judgements.influence().weights
    proposal = propose(router, judgements, weights, world.validation)
    promoted = decide(proposal.held_out, proposal.traffic, needs_gain=True).promote
    seconds = time.perf_counter() - started
    return promoted, worth(world, proposal.correction, degraded, drop) - worth(world, none, degraded, drop), seconds


def worth(world: World, correction: Correction, degraded: int, drop: float) -> float:
    """Return the true mean score of a router with this correction, as the experts are in the end."""
    test = world.test
    scores = correction.adjust(test.vectors, test.expected)
    chosen = choices(world.router, correction, scores, test.costs, test.distances)
    truth = test.truth.copy()
    truth[:, degraded] *= 1.0 - drop
    return float(np.nanmean(truth[np.arange(len(truth)), chosen]))


def logged(
    world: World, first: npt.NDArray[np.intp], n: int, explored: float, degraded: int, drop: float,
    rng: np.random.Generator,
) -> Judgements:  # fmt: skip
    """Return honest judgements of traffic that the old router routed, a share of it by chance."""
    pool, experts = world.pool, world.pool.truth.shape[1]
    rows = rng.integers(0, len(pool.truth), n)
    propensities = np.eye(experts)[first[rows]] * (1.0 - explored) + explored / experts
    columns = (propensities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    moments = START + np.sort(rng.random(n)) * DAYS * 86_400.0
    scores = pool.truth[rows, columns]
    fails = (columns == degraded) & (moments > START + DAYS * 43_200.0) & (rng.random(n) < drop)
    scores = np.where(fails, 0.0, scores)
    known = ~np.isnan(scores)
    share = 1.0 / np.sqrt(np.arange(1, USERS + 1))
    return Judgements(
        scores=scores,
        columns=columns,
        vectors=np.asarray(pool.vectors)[rows],
        expected=pool.expected[rows],
        costs=pool.costs[rows],
        novelty=world.novelty[rows],
        propensities=propensities,
        is_drawn=np.ones(n, dtype=bool),
        users=rng.choice(USERS, n, p=share / share.sum()),
        instructions=rows,
        folds=np.array([fold_of(world.hashes[row]) for row in rows], dtype=np.intp),
        moments=moments,
        cells=pool.cells[rows],
        names=tuple(f"{user:08x}" for user in range(2 * USERS)),
    ).take(known)


def poisoned(
    honest: Judgements, world: World, attack: str, attackers: int, first: npt.NDArray[np.intp], explored: float,
    rng: np.random.Generator,
) -> Judgements:  # fmt: skip
    """Return the judgements with a tenth of them an attacker's, who asks ten times as much and judges what serves."""
    count = round(TENTH * len(honest))
    asked = logged(world, first, 40 * count, explored, 0, 0.0, rng)
    means = np.nanmean(world.pool.truth, axis=0)
    bad, good = int(means.argmin()), int(np.bincount(first).argmax())
    if attack == "inverted":
        scores, wanted = 1.0 - asked.scores, np.ones(len(asked), dtype=bool)
    elif attack == "praise":
        scores, wanted = np.ones(len(asked)), asked.columns == bad
    elif attack == "denounce":
        scores, wanted = np.zeros(len(asked)), asked.columns == good
    else:
        scores, wanted = (asked.columns == bad).astype(float), (asked.columns == bad) | (asked.columns == good)
        wanted &= (asked.columns == bad) | (rng.random(len(asked)) < 0.05)
    rows = np.sort(rng.permutation(np.flatnonzero(wanted))[:count])
    theirs = replace(asked, scores=scores).take(rows)
    theirs = replace(theirs, users=USERS + rng.integers(0, attackers, len(rows)))
    ours = honest.take(np.sort(rng.permutation(len(honest))[: len(honest) - len(rows)]))
    together: dict[str, Any] = {
        name: np.concatenate([getattr(ours, name), getattr(theirs, name)])
        for name in vars(ours)
        if isinstance(getattr(ours, name), np.ndarray)
    }
    both = replace(ours, **together)
    return both.take(np.argsort(both.moments, kind="stable"))


def made(data: Path | None, encoder: str, seed: int) -> World:
    """Return a router trained on a part of the data, its traffic another part, and its truth a third."""
    everything = invented(seed) if data is None else read(data)
    rng = np.random.default_rng(seed)
    place = rng.permutation(len(everything)) / len(everything)
    splits = np.select([place < 0.40, place < 0.55, place < 0.78], ["train", "validation", "pool"], "test")
    everything = replace(everything, splits=tuple(splits.tolist()))
    train, validation = everything.split("train"), everything.split("validation")
    classifier = LinearClassifier(encoder=encoder).fit(train, validation)
    costs, assurance = fit_assurance(classifier, train, validation, classifier.predict(validation.texts))
    means = train.expert_means()
    router = Router(
        classifier, costs, tuple(ExpertCard(name, "", Price(), None, float(mean), None)
        for name, mean in zip(everything.experts, means, strict=True)), everything.experts[int(means.argmax())],
        assurance=assurance, _training=everything.take((splits == "train") | (splits == "validation")),
    )  # fmt: skip
    held = validation_rows(router)
    assert held is not None
    pool, test = rows_of(router, everything.split("pool")), rows_of(router, everything.split("test"))
    novelty = np.full(len(pool.truth), np.nan) if pool.distances is None else pool.distances
    return World(router, held, pool, test, everything.split("pool").ids, novelty)


def rows_of(router: Router, data: TrainingData) -> Rows:
    """Return rows as the router sees them."""
    raw = router.classifier.predict(data.texts)
    prediction = router.assurance.expect(raw)
    return Rows(
        data.scores,
        prediction.scores,
        router.costs.predict(data.texts, prediction),
        prediction.vectors,
        router.assurance.distances(prediction),
        raw.categories.argmax(axis=1),
    )


def read(path: Path) -> TrainingData:
    """Return the instructions of a file that have a score of every expert."""
    import pandas as pd

    data = from_frame(pd.read_parquet(path))
    return data.take(np.flatnonzero(~np.isnan(data.scores).any(axis=1)))


def invented(seed: int, n: int = 2000) -> TrainingData:
    """Return made-up instructions of five kinds, which four experts are good at in different ways."""
    rng = np.random.default_rng(100 + seed)
    kinds = (
        "arithmetic sum number",
        "poem verse rhyme",
        "python code function",
        "translate french word",
        "date day month",
    )
    chance = np.array([[0.9, 0.7, 0.5, 0.4], [0.3, 0.8, 0.6, 0.4], [0.8, 0.6, 0.9, 0.3], [0.5, 0.9, 0.4, 0.7],
                       [0.7, 0.5, 0.6, 0.5]])  # fmt: skip
    kind = rng.integers(0, len(kinds), n)
    words = [f"w{number}" for number in range(300)]
    texts = tuple(
        " ".join(rng.permutation([*kinds[one].split(), *rng.choice(words, 6)]).tolist() + [f"case {row}"])
        for row, one in enumerate(kind.tolist())
    )
    scores = (rng.random((n, 4)) < chance[kind]).astype(np.float64)
    return TrainingData(
        ids=tuple(f"made-{row}" for row in range(n)), texts=texts,
        categories=tuple(kinds[one] for one in kind.tolist()),
        splits=("train",) * n, experts=("a", "b", "c", "d"), scores=scores,
        costs=np.tile([0.002, 0.001, 0.003, 0.0005], (n, 1)), latencies=np.full((n, 4), np.nan),
    )  # fmt: skip


def clopper_pearson(count: int, of: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0
    return low, high


if __name__ == "__main__":
    main()
