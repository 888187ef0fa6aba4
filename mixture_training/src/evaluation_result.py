"""What an evaluation found, as data; `report` turns it into text, JSON and pictures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.metrics.curves import Curve
from mixture_training.src.metrics.routing import WinRate
from mixture_training.src.training_data import FloatArray


@dataclass(frozen=True)
class CategoryResult:
    """One router on the rows of one category; cost in USD per instruction."""

    instructions: int
    quality: Interval
    cost: float


@dataclass(frozen=True)
class Result:
    """One router or reference point on all rows.

    Attributes:
        quality: Mean score.
        cost: Mean USD per instruction; an unknown cost counts at its prediction, or is left out for a reference.
        unscored: Rows left out because the chosen expert has no score there.
        gap_closed: Share of the gap from best single to oracle; NaN where there is none.
        regret: Mean of oracle − chosen.
        vs_best_single: Mean of chosen − best single, paired.
        wins: Against best single.
        aiq: Average improvement in quality (RouterBench) over the cost range of single experts and oracle.
        apgr: Average performance gap recovered (RouteLLM) between the weak and the strong expert.
        cpt50: Share of calls to the strong expert at which half the gap is recovered.
        cpt80: The same at 80 %.
        train_s: Seconds to fit.
        route_us: Microseconds to route one instruction, median of single calls.
        share: Expert -> share of the rows sent to it.
        curve: Quality against cost over cost weights; None for a reference.
        by_category: Category -> the same on its rows.
    """

    quality: Interval
    cost: float
    unscored: int
    gap_closed: Interval
    regret: float
    vs_best_single: Interval
    wins: WinRate
    aiq: float = math.nan
    apgr: float = math.nan
    cpt50: float = math.nan
    cpt80: float = math.nan
    train_s: float = math.nan
    route_us: float = math.nan
    share: Mapping[str, float] = field(default_factory=dict)
    curve: Curve | None = None
    by_category: Mapping[str, CategoryResult] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationResult:
    """What `evaluate` found.

    Attributes:
        dataset: What it was called.
        split: The rows judged.
        instructions: How many.
        experts: Their names.
        policy: How the methods traded score and cost.
        best_single: The expert that was best on train.
        weak: The cheapest other expert, the lower end of APGR and CPT; None with a single expert.
        references: `random`, `expert:<name>` each, `best_single`, `best_per_category`, `zero_router`, `oracle`.
        methods: In the order they were given.
        hull: (cost, quality) vertices of the zero router.
        seed: Of the bootstrap.
    """

    dataset: str
    split: str
    instructions: int
    experts: tuple[str, ...]
    policy: str
    best_single: str
    weak: str | None
    references: dict[str, Result]
    methods: dict[str, Result]
    hull: FloatArray
    seed: int
