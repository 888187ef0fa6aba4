"""A simulated month: what learning from feedback gains when an expert degrades and a new kind of instruction appears.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/learning_month.py [DATASET ...]
        [--seeds 20] [--judged 1.0] [--change degrades|improves|nothing] [--encoder static] [--plot month.png]

Each seed draws a third of the instructions to train a router on, but none of one category; the others arrive in order
over 30 days, those of the category left out from day 20 on. On day 15 the expert that the router uses most degrades:
six in ten of its scores become 0 (`improves`: the expert it uses least gets nine in ten right instead). Only the score
of the expert that was asked is revealed, and of it the share `--judged`.

Compared: the router as it was trained (`frozen`); the best single expert of training; the oracle, which knows every
score; `learning`, which learns a correction every midnight and always asks the best it knows of; `gated`, which does
so where the gate of `moe update` lets the correction pass; and `learning` with exploration by Thompson sampling, by
LinUCB, and by `epsilon`, within a budget of a hundredth of a point per decision.
Regret is the oracle's score less one's own, summed. Intervals are those of Student's t over seeds. Without a DATASET
instructions and scores are made up.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mixture_training.src.artifacts import Router
from mixture_training.src.bandit import Explorer, Spending, Strategy
from mixture_training.src.correction import Correction
from mixture_training.src.fitting import fit_router
from mixture_training.src.gate import category_cells, decide
from mixture_training.src.judgements import FOLDS, Judgements
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.model_recommender import Recommender, RoutingTable
from mixture_training.src.quick_update import propose, validation_rows
from mixture_training.src.training_data import TrainingData, load_training_data

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

DAYS, CHANGE, NEW = 30, 15, 20
METHODS = ("frozen", "best single", "oracle", "learning", "gated", "thompson", "linucb", "epsilon")
STRATEGIES: dict[str, Strategy] = {"thompson": "thompson", "linucb": "linucb", "epsilon": "epsilon"}
#: What is left of a degraded expert's scores, what an improved one reaches, and the share that validates the router.
KEPT, REACHED, VALIDATION = 0.4, 0.9, 0.2
#: How many judge, and seconds of a day.
USERS, DAY_S = 40, 86_400.0
#: Expected score that exploring may give up per decision.
QUALITY = 0.01


@dataclass(frozen=True)
class Month:
    """What arrives.

    Attributes:
        router: As it was trained.
        texts: Instructions in order of arrival, length n.
        moments: When, in days, (n,).
        truth: What every expert scores on that day, (n, E).
        is_new: Whether the category was left out of training, (n,).
    """

    router: Router
    texts: tuple[str, ...]
    moments: FloatArray
    truth: FloatArray
    is_new: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """What one method reached in one month.

    Attributes:
        before: Mean score before the change.
        after: And from then on.
        new: Of the new category; NaN where there is none.
        regret: Against the oracle, summed to the end of each day, (`DAYS`,).
        spending: What exploration took; None where there was none.
    """

    before: float
    after: float
    new: float
    regret: FloatArray
    spending: Spending | None


def main() -> None:
    """Simulate and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--judged", type=float, default=1.0)
    parser.add_argument("--change", choices=("degrades", "improves", "nothing"), default="degrades")
    parser.add_argument("--encoder", default="static")
    parser.add_argument("--methods", default=",".join(METHODS), help="which to compare with `frozen`")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    flags = parser.parse_args()
    found = {}
    for path in flags.datasets or [""]:
        methods = tuple(name for name in METHODS if name == "frozen" or name in flags.methods.split(","))
        job = partial(simulate, path, encoder=flags.encoder, judged=flags.judged, change=flags.change, methods=methods)
        with ProcessPoolExecutor(flags.workers) as pool:
            months = list(pool.map(job, range(flags.seeds)))
        name = Path(path).stem or "made up"
        found[name] = months
        print(f"\n{name}, {flags.seeds} seeds, {flags.change}, {flags.judged:.0%} judged\n")
        print("\n".join(table(months)), flush=True)
    if flags.plot:
        plot(found, flags.plot)


def simulate(
    path: str, seed: int, *, encoder: str, judged: float, change: str, methods: Sequence[str] = METHODS
) -> dict[str, Outcome]:
    """Return what each method reached in the month of one seed."""
    data = load_training_data(path) if path else made_up_data(seed)
    month = make_month(data, seed, encoder=encoder, change=change)
    best = month.truth.max(axis=1)
    return {name: outcome(month, best, *choices(month, name, seed, judged)) for name in methods}


def make_month(data: TrainingData, seed: int, *, encoder: str, change: str) -> Month:
    """Return a router and what arrives at it."""
    chance = np.random.default_rng(seed)
    names = data.category_names
    left_out = names[seed % len(names)] if len(names) > 2 else None
    is_new = np.array([category == left_out and left_out is not None for category in data.categories])
    order = chance.permutation(len(data))
    learned, others = order[: len(data) // 3], order[len(data) // 3 :]
    learned = learned[~is_new[learned]]
    splits = np.where(chance.random(len(learned)) < VALIDATION, "validation", "train").tolist()
    router = fit_router(replace(data.take(learned), splits=tuple(splits)), LinearClassifier(encoder=encoder))
    known, new = others[~is_new[others]], others[is_new[others]]
    usual = len(known) / DAYS / max(len(names) - 1, 1)  # of one category in a day
    new = new[: round(usual * (DAYS - NEW))]
    moments = np.concatenate([chance.uniform(0, DAYS, len(known)), chance.uniform(NEW, DAYS, len(new))])
    arrival = np.argsort(moments)
    rows, moments = np.concatenate([known, new])[arrival], moments[arrival]
    texts = tuple(data.texts[row] for row in rows)
    truth = np.nan_to_num(data.scores[rows])  # an answer that never came helps nobody
    asked = np.bincount(Recommender(router).table(texts).ranking[moments < CHANGE, 0], minlength=truth.shape[1])
    late = moments >= CHANGE
    if change == "degrades":
        truth[late & (chance.random(len(rows)) >= KEPT), asked.argmax()] = 0.0
    elif change == "improves":
        truth[late, asked.argmin()] = chance.random(int(late.sum())) < REACHED
    return Month(router, texts, moments, truth, is_new[rows])


def choices(month: Month, method: str, seed: int, judged: float) -> tuple[IndexArray, Spending | None]:
    """Return the expert that a method asks each time, and what exploration took."""
    if method == "oracle":
        return month.truth.argmax(axis=1), None
    if method == "best single":
        best = month.router.expert_names.index(month.router.best_single)
        return np.full(len(month.texts), best, dtype=np.intp), None
    if method == "frozen":
        return Recommender(month.router).table(month.texts).ranking[:, 0], None
    explorer = None
    if method in STRATEGIES:
        explorer = Explorer(STRATEGIES[method], quality_per_decision=QUALITY, seed=seed)
    is_judged = np.random.default_rng([seed, 1]).random(len(month.texts)) < judged
    router = replace(month.router, correction=Correction.of(month.router))
    recommender, told = Recommender(router), list[Judgements]()
    validation = validation_rows(router) if method == "gated" else None
    chosen = np.zeros(len(month.texts), dtype=np.intp)
    for day in range(DAYS):
        rows = np.flatnonzero(np.floor(month.moments) == day)
        routed = recommender.table([month.texts[row] for row in rows])
        columns = routed.ranking[:, 0]
        if explorer is not None:
            firsts = [explorer.explore(routed, row).ranking[0] for row in range(len(rows))]
            columns = np.array(firsts, dtype=np.intp)
        chosen[rows] = columns
        seen = np.flatnonzero(is_judged[rows])
        assert routed.uncorrected is not None
        residuals = month.truth[rows[seen], columns[seen]] - routed.uncorrected[seen, columns[seen]]
        vectors = None if routed.vectors is None else routed.vectors[seen]
        if method == "gated":
            told.append(judgements(month, rows, columns, routed, seed).take(seen))
            known = joined(told)
            proposal = propose(router, known, np.ones(len(known)), validation)
            if decide(proposal.held_out, proposal.traffic).promote:
                router.correction = proposal.correction
            continue
        router.correction = Correction.of(router).learn(
            vectors, columns[seen], residuals, moments=month.moments[rows[seen]]
        )
    return chosen, None if explorer is None else explorer.spending


def judgements(month: Month, rows: IndexArray, columns: IndexArray, routed: RoutingTable, seed: int) -> Judgements:
    """Return a day's judgements of the columns that were asked, as `moe update` reads them."""
    n, experts = routed.scores.shape
    chance = np.random.default_rng([seed, 3, *rows[:1].tolist()])
    names = month.router.classifier.category_names_
    assert routed.uncorrected is not None
    return Judgements(
        scores=month.truth[rows, columns],
        columns=columns,
        vectors=np.zeros((n, 0), np.float32) if routed.vectors is None else routed.vectors,
        expected=routed.uncorrected,
        costs=routed.costs,
        novelty=np.full(n, np.nan) if routed.novelty is None else routed.novelty,
        propensities=np.eye(experts)[columns],
        is_drawn=np.ones(n, dtype=bool),
        users=np.asarray(chance.integers(0, USERS, n), dtype=np.intp),
        instructions=rows,
        folds=rows % FOLDS,
        moments=month.moments[rows] * DAY_S,
        cells=category_cells(routed.categories, names),
    )


def joined(parts: Sequence[Judgements]) -> Judgements:
    """Return the judgements of all days."""
    names = [one.name for one in fields(Judgements) if isinstance(getattr(parts[0], one.name), np.ndarray)]
    joint: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Judgements(**joint)


def outcome(month: Month, best: FloatArray, chosen: IndexArray, spending: Spending | None) -> Outcome:
    """Return what choices reached."""
    got = month.truth[np.arange(len(chosen)), chosen]
    before = month.moments < CHANGE
    daily = np.bincount(np.floor(month.moments).astype(int), best - got, minlength=DAYS)
    new = float(got[month.is_new].mean()) if month.is_new.any() else float("nan")
    return Outcome(float(got[before].mean()), float(got[~before].mean()), new, np.cumsum(daily), spending)


def table(months: Sequence[dict[str, Outcome]]) -> list[str]:
    """Return the lines of a Markdown table, a method a row."""
    heads = ("method", "before", "after", "new category", "regret before", "regret after")
    lines = ["| " + " | ".join([*heads, "vs frozen before", "vs frozen after", "given up", "explored"]) + " |"]
    lines.append("|---" * (len(heads) + 4) + "|")
    for name in months[0]:
        all_of = [month[name] for month in months]
        frozen = [month["frozen"] for month in months]
        cells = [f"{np.mean([one.before for one in all_of]):.3f}", f"{np.mean([one.after for one in all_of]):.3f}"]
        cells.append(f"{np.nanmean([one.new for one in all_of]):.3f}")
        cells.append(interval([one.regret[CHANGE - 1] for one in all_of], "{:.0f}"))
        cells.append(interval([one.regret[-1] - one.regret[CHANGE - 1] for one in all_of], "{:.0f}"))
        for part in ("before", "after"):
            ahead = [getattr(one, part) - getattr(other, part) for one, other in zip(all_of, frozen, strict=True)]
            cells.append("" if name == "frozen" else interval(ahead, "{:+.4f}"))
        spent = [one.spending for one in all_of if one.spending is not None]
        cells.append(f"{np.mean([one.quality / one.decisions for one in spent]):.4f}" if spent else "")
        cells.append(f"{np.mean([one.explored / one.decisions for one in spent]):.1%}" if spent else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def interval(values: Sequence[float], form: str) -> str:
    """Return the mean with the ends of its 95 % interval."""
    from scipy.special import stdtrit

    mean = float(np.mean(values))
    if len(values) < 2:
        return form.format(mean)
    half = float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return f"{form.format(mean)} ({form.format(mean - half)} to {form.format(mean + half)})"


def plot(found: dict[str, list[dict[str, Outcome]]], file: Path) -> None:
    """Draw the mean cumulative regret of every method by day, with the middle half of the seeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5 * len(found), 4.8), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, months) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        days = np.arange(DAYS + 1)
        for index, method in enumerate(name for name in months[0] if name != "oracle"):
            regrets = np.array([[0.0, *month[method].regret] for month in months])
            dashes = "--" if method in ("frozen", "best single") else "-"
            axes.plot(days, regrets.mean(axis=0), dashes, color=f"C{index}", label=method)
            low, high = np.quantile(regrets, [0.25, 0.75], axis=0)
            axes.fill_between(days, low, high, color=f"C{index}", alpha=0.12, linewidth=0)
        for day, says in ((CHANGE, "an expert changes"), (NEW, "a new category")):
            axes.axvline(day, color="0.5", linewidth=0.8)
            axes.annotate(says, (day, axes.get_ylim()[1]), (3, -4), textcoords="offset points", va="top", rotation=90)
        axes.set_title(f"{name}, {len(months)} seeds")
        axes.set_xlabel("day")
        axes.set_ylabel("regret against the oracle, points")
        axes.grid(alpha=0.25)
    figure.axes[0].legend(frameon=False, loc="upper left")
    figure.savefig(file)


def made_up_data(seed: int, rows: int = 6000) -> TrainingData:
    """Return instructions on six topics; five experts, each good at two or three of them, succeed by chance."""
    topics = {
        "fruit": "apple pear plum cherry peach melon orange lemon",
        "metal": "iron copper zinc silver gold lead nickel tin",
        "animal": "horse sheep tiger rabbit eagle salmon spider whale",
        "music": "violin piano opera chorus rhythm melody concert drum",
        "money": "bank loan interest tax budget invoice salary debt",
        "travel": "airport train hotel passport luggage ticket harbour tour",
    }
    chance = np.random.default_rng([seed, 2])
    names = list(topics)
    drawn = chance.integers(0, len(names), rows)
    texts = [
        f"{chance.choice(['tell me about', 'compare', 'what is known of', 'explain'])} "
        + " and ".join(chance.choice(topics[names[topic]].split(), 3))
        + f", case {row}"
        for row, topic in enumerate(drawn)
    ]
    ability = np.array(
        [[0.9, 0.9, 0.5, 0.5, 0.6, 0.6], [0.5, 0.5, 0.9, 0.9, 0.6, 0.5], [0.8, 0.5, 0.5, 0.8, 0.9, 0.8]]
        + [[0.7, 0.7, 0.7, 0.7, 0.7, 0.7], [0.4, 0.8, 0.8, 0.4, 0.4, 0.9]]
    ).T[drawn]
    return TrainingData(
        ids=tuple(f"made-{row}" for row in range(rows)),
        texts=tuple(texts),
        categories=tuple(names[topic] for topic in drawn),
        splits=("train",) * rows,
        experts=("gardener", "keeper", "clerk", "generalist", "guide"),
        scores=(chance.random(ability.shape) < ability).astype(float),
        costs=np.tile([0.001, 0.002, 0.003, 0.004, 0.001], (rows, 1)),
        latencies=np.full(ability.shape, np.nan),
    )


if __name__ == "__main__":
    main()
