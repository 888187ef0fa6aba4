"""What a client means by `model`: a policy of the router, or one expert by name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataset_build import ConfigError, nearest
from mixture_training.src.policy import parse_policy
from mixture_training.src.server.api_errors import ApiError

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

#: The router by its default policy, for quality whatever it costs, and for little money.
MOE, QUALITY, CHEAP = "moe", "moe-quality", "moe-cheap"
#: What `moe-cheap` keeps of the best single expert's quality, where the router has measured its trade-offs.
CHEAP_TARGET = "target=0.9"
#: And where it has not: the score that the dearest expert must gain over the cheapest to be worth its price.
CHEAP_GAIN = 0.1


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """How a request is to be routed; neither given means the default policy.

    Attributes:
        policy: The policy.
        expert: The one expert that is to answer.
    """

    policy: str | None = None
    expert: str | None = None


def choose_model(
    name: str, experts: Iterable[str], cheap: str, *, shown: Callable[[str], bool] = lambda _: True
) -> ModelChoice:
    """Return what `name` means.

    Args:
        name: `moe`, `moe-quality`, `moe-cheap`, `moe:POLICY`, or an expert.
        experts: The experts there are.
        shown: Which of them whoever asks may hear of.
        cheap: What `moe-cheap` stands for.

    Raises:
        ApiError: nothing is called so, or it is no policy.
    """
    if name == MOE:
        return ModelChoice()
    if name == QUALITY:
        return ModelChoice(policy="quality")
    if name == CHEAP:
        return ModelChoice(policy=cheap)
    if name.startswith("moe:"):
        policy = name[4:]
        try:
            return ModelChoice(policy=str(parse_policy(policy)))
        except ConfigError as problem:
            raise ApiError(404, str(problem), param="model", code="model_not_found") from None
    known = list(experts)
    if name in known:
        return ModelChoice(expert=name)
    every = [MOE, QUALITY, CHEAP, *filter(shown, known)]
    raise ApiError(
        404,
        f"There is no model {name[:100]!r}.{nearest(name[:100], every)} Known: {', '.join(every)}, and moe:POLICY with "
        "cost_weight=NUMBER, budget=USD or target=SHARE.",
        param="model",
        code="model_not_found",
    )


def cheap_policy(router: "Router") -> str:
    """Return the policy that `moe-cheap` stands for with this router.

    It keeps nine tenths of the best single expert's quality for as little as possible where the router has measured
    that; else the dearest expert must be expected to score a tenth more than the cheapest to be chosen.
    """
    if router.assurance.trade_offs is not None:
        return CHEAP_TARGET
    costs = [card.mean_cost for card in router.experts if card.mean_cost is not None]
    spread = max(costs) - min(costs) if costs else 0.0
    return f"cost_weight={CHEAP_GAIN / spread:.6g}" if spread > 0 else "quality"
