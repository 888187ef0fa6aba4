"""What an evaluation found, as data; `report` turns it into text, JSON and pictures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.metrics.calibration import Reliability as Reliability
from mixture_training.src.metrics.curves import Curve
from mixture_training.src.metrics.routing import WinRate
from mixture_training.src.training_data import FloatArray


@dataclass(frozen=True)
class CategoryResult:
    """One router on the rows of one category; cost in USD per instruction, `share` as in `Result`."""

    instructions: int
    quality: Interval
    cost: float
    share: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Band:
    """The 95 % interval of the mean score at each point of a curve, paired with `Curve.qualities`."""

    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Spread:
    """One measure over repeated splits: its mean with the 95 % interval (Nadeau & Bengio), and how many splits."""

    mean: float
    low: float
    high: float
    splits: int


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
        performance_gain: Relative gain in quality over best single (LLMRouterBench), 0.05 is 5 % better.
        cost_saving: Share of best single's cost saved at equal quality, along the curve (LLMRouterBench); NaN where
            its quality is not reached. In its interval a resample where it is not counts as 0, nothing saved.
        pareto_distance: Mean distance of the curve's points from the frontier of all compared (LLMRouterBench).
        arena_score: RouterArena's score of quality and cost, in [0, 1].
        entropy: Of the choices, 0 where one expert gets all, 1 where all get the same (routing collapse).
        p_value: Two-sided, of `vs_best_single` being 0, from the bootstrap.
        p_holm: The same, corrected for the number of methods compared (Holm); NaN for a reference.
        intervals: Name of a measure above that is a plain number (`aiq`, `apgr`, `cost`, `regret` …), or `wins` or
            `losses` -> it with its interval from the same draws; only those that have one.
        band: Interval of the curve's qualities; None without a curve.
        reliability: Of a method's predicted scores; None where it predicts none.
        versus: Other method or reference point -> mean of chosen − its, paired.
        aiq_versus: The same of AIQ.
        repeated: Measure (`quality`, `cost`, `gap_closed`, `vs_best_single`, `aiq` …) -> over repeated splits;
            empty where none were asked for.
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
    performance_gain: float = math.nan
    cost_saving: float = math.nan
    pareto_distance: float = math.nan
    arena_score: float = math.nan
    entropy: float = math.nan
    p_value: float = math.nan
    p_holm: float = math.nan
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    band: Band | None = None
    reliability: Reliability | None = None
    versus: Mapping[str, Interval] = field(default_factory=dict)
    aiq_versus: Mapping[str, Interval] = field(default_factory=dict)
    repeated: Mapping[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True)
class Duplicates:
    """Judged instructions that train also has.

    Attributes:
        exact: Those equal to one of train but for case and spaces.
        near: Those nearly the same as one of train, the exact ones among them.
        judged: Judged instructions in all.
        examples: A few (judged text, train text) pairs.
    """

    exact: int
    near: int
    judged: int
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class LearningPoint:
    """What a method reaches when it learns from a part of train.

    Attributes:
        share: Of train, in (0, 1].
        instructions: How many that is.
        quality: Mean score on the judged rows.
        vs_best_single: Against the best single expert of all of train, paired.
        train_s: Seconds to fit.
    """

    share: float
    instructions: int
    quality: Interval
    vs_best_single: Interval
    train_s: float = math.nan


@dataclass(frozen=True)
class LeftOut:
    """A method that never saw a category, judged on it.

    Attributes:
        instructions: Judged rows of the category.
        quality: Without the category in train.
        seen: With it in train.
        best_single: The best single expert of the train rows outside the category.
        vs_best_single: Without the category, against that expert, paired.
    """

    instructions: int
    quality: Interval
    seen: Interval
    best_single: Interval
    vs_best_single: Interval


@dataclass(frozen=True)
class Diagnostics:
    """What a figure on test rows does not tell of itself.

    Attributes:
        method: The one they were made for; None where only the dataset was looked at.
        duplicates: Between the judged rows and train; None where it was not asked for.
        category_only: A router that knows the category and nothing else.
        category_share: Share of the method's gain over best single that `category_only` reaches; NaN without one.
        shuffled: The method fitted to scores dealt to other instructions, against best single. It cannot be better
            unless something leaks.
        learning_curve: From few to all train rows.
        left_out: Category -> the method without it.
    """

    method: str | None = None
    duplicates: Duplicates | None = None
    category_only: Result | None = None
    category_share: float = math.nan
    shuffled: Result | None = None
    learning_curve: tuple[LearningPoint, ...] = ()
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)

    @property
    def leaks(self) -> bool:
        """Whether the shuffled control is better than best single, which only a leak explains."""
        return self.shuffled is not None and self.shuffled.vs_best_single.low > 0


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
        samples: Bootstrap resamples.
        frontier: (cost, quality) vertices of what single experts and all methods together reach, cheapest first.
        oracle_curve: What the oracle reaches along the cost weights; None where costs are unknown.
        repeats: Further splits in `Result.repeated`; 0 without.
        diagnostics: None where they were not asked for.
        cautions: Sentences about what keeps the figures from meaning what they seem to, beside those a report adds.
        elapsed_s: Seconds it took.
        ids: The instructions judged.
        choices: Method -> the expert it chose for each of them, None where it chose none.
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
    samples: int = 0
    frontier: FloatArray | None = None
    oracle_curve: Curve | None = None
    repeats: int = 0
    diagnostics: Diagnostics | None = None
    cautions: tuple[str, ...] = ()
    elapsed_s: float = math.nan
    ids: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
