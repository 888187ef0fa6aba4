"""The experts a server can reach: those it was given, or those its router was trained on."""

import logging
from typing import TYPE_CHECKING

from dataset_build import ConfigError, Expert, ExpertConfig, ToolkitError, load_experts, parse_expert

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

logger = logging.getLogger(__name__)


def reachable_experts(router: "Router", given: str | None) -> dict[str, Expert]:
    """Return by name the experts that can be called and the router chooses among.

    Args:
        router: Knows how to reach those it was trained on.
        given: Who answers instead: a YAML file, `embedded`, …

    Raises:
        ConfigError: there is none.
    """
    if given is not None:
        found = load_experts(parse_expert(given))
    else:
        configs = [ExpertConfig(**card.config) for card in router.experts if card.config is not None]
        if not configs:
            raise ConfigError(
                "This router was trained on recorded answers and knows no connection to its experts "
                f"({', '.join(router.expert_names)}). Name them: --experts FILE.yaml."
            )
        found = _load_each(configs)
    experts = {expert.name: expert for expert in found}
    known = {name: experts[name] for name in router.expert_names if name in experts}
    if not known:
        raise ConfigError(
            f"None of the experts given ({', '.join(sorted(experts))}) is one the router chooses among: "
            f"{', '.join(router.expert_names)}. Give them these names."
        )
    missing = [name for name in router.expert_names if name not in known]
    if missing:
        logger.warning("no connection to %s: passed over", ", ".join(missing))
    return known


def _load_each(configs: list[ExpertConfig]) -> list[Expert]:
    """Return the experts that can be loaded; one that cannot is named in the log, and only all of them raise."""
    loaded: list[Expert] = []
    problem: ToolkitError | None = None
    for config in configs:
        try:
            loaded += load_experts([config])
        except ToolkitError as failure:
            logger.warning("expert %r is passed over: %s", config.name or config.provider, failure)
            problem = failure
    if not loaded and problem is not None:
        raise problem
    return loaded
