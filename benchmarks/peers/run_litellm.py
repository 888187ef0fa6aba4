"""LiteLLM's complexity router: rules over the text choose one of four tiers; what a tier means is the user's to say."""

import asyncio
import os
import time
import warnings

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from importlib import import_module
from typing import Any

import numpy as np
from exchange import Answer, Foreign, Problem, answer, median_ms, quiet

TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")


def route(problem: Problem, method: str) -> Answer:
    """Ask the rules; `complexity_router`, or with the classifier after it."""
    warnings.simplefilter("ignore")
    _, _, classifier = method.partition(" ")
    tiers = dict(zip(TIERS, ladder(problem), strict=True))
    config: dict[str, Any] = {"tiers": tiers}
    if classifier:
        config["classifier_type"] = classifier
    experts = sorted(set(tiers.values()))
    models: list[dict[str, Any]] = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "none"}} for name in experts
    ]
    smart = {"model": "auto_router/complexity_router", "complexity_router_config": config}
    models.append({"model_name": "smart-router", "litellm_params": smart})
    litellm: Foreign = import_module("litellm")
    started = time.perf_counter()
    router = litellm.Router(model_list=models)

    async def choose(text: str) -> str:
        asked = [{"role": "user", "content": text}]
        decided = await router.async_pre_routing_hook(model="smart-router", request_kwargs={}, messages=asked)
        return str(decided.model)

    loop = asyncio.new_event_loop()

    def one(text: str) -> str:
        return loop.run_until_complete(choose(text))

    found = Answer(train_s=time.perf_counter() - started, settings=", ".join(f"{t}={e}" for t, e in tiers.items()))
    with quiet():
        found.choices = [problem.experts.index(one(text)) for text in problem.test.texts]
    found.route_ms = median_ms(one, problem.test.texts)
    lines = [f"{tier}: {expert}" for tier, expert in tiers.items()]
    lines += ["model_list:", "- model_name: smart-router", "litellm_params:", "model: auto_router/complexity_router"]
    lines += ["complexity_router_config:", "tiers:", *([f"classifier_type: {classifier}"] if classifier else [])]
    lines += [f"{name}: {key}" for name in experts for key in ("model_name", "litellm_params", "model", "api_key")]
    found.configuration = "\n".join([*lines, "router = litellm.Router(model_list)"])
    found.broke = "learns nothing from scores"
    return found


def ladder(problem: Problem) -> list[str]:
    """Return an expert for each tier: from the cheapest to the best on train, along the hull of cost and quality."""
    means, prices = np.nanmean(problem.train.scores, axis=0), np.asarray(problem.prices)
    order = np.lexsort((-means, prices))
    rising: list[int] = []
    for column in order:
        if not rising or means[column] > means[rising[-1]]:
            rising.append(int(column))
    steps = np.round(np.linspace(0, len(rising) - 1, len(TIERS))).astype(int)
    return [problem.experts[rising[step]] for step in steps]


if __name__ == "__main__":
    answer(route)
