"""semantic-router: each expert is a route, its utterances the train instructions that it was best at.

Equally good experts: the cheapest gets the utterance. `tuned` also tries giving it to the best single expert, other
numbers of neighbours and other ways to add their similarities up, on validation.
"""

import time
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
from embedder import Embedder
from exchange import Answer, Foreign, Problem, Split, answer, best_experts, mean_score, median_ms, quiet

#: Neighbours and aggregations to try; the first of each is its default.
NEIGHBOURS, AGGREGATIONS = (5, 20, 80), ("mean", "max", "sum")

CONFIGURATION = """
class Encoder(DenseEncoder):
    name: str = "minilm"
    def __call__(self, docs):
        return model.encode(docs)
router = IndexedRouter(
    encoder=Encoder(),
    routes=[Route(name=..., utterances=[...]) for ...],
    top_k=...,
    aggregation=...,
)
router(text).name
"""


def route(problem: Problem, method: str) -> Answer:
    """Index the train instructions and ask."""
    embedder = Embedder(problem)
    encoder = _encoder(embedder)
    cheapest = [int(column) for column in np.argsort(problem.prices, kind="stable")]
    best_first = [int(column) for column in np.argsort(-np.nanmean(problem.train.scores, axis=0), kind="stable")]
    grid = [(cheapest, NEIGHBOURS[0], AGGREGATIONS[0])]
    if method.endswith("tuned"):
        grid = list(product((cheapest, best_first), NEIGHBOURS, AGGREGATIONS))
    started = time.perf_counter()
    tried = []
    for order, neighbours, aggregation in grid:
        router = _router(problem, encoder, order, neighbours, aggregation)
        value = 0.0
        if len(grid) > 1:
            value = mean_score(problem.validation.scores, _choices(problem, router, problem.validation))
        tried.append(
            (
                value,
                router,
                f"top_k {neighbours}, {aggregation}, ties to the {'cheapest' if order is cheapest else 'best'}",
            )
        )
    _, router, settings = max(tried, key=lambda trial: trial[0])
    found = Answer(train_s=time.perf_counter() - started, settings=settings, configuration=CONFIGURATION)
    found.choices = _choices(problem, router, problem.test)
    embedder.is_live = True
    found.route_ms = median_ms(lambda text: router(text).name, problem.test.texts)
    found.broke = "made for intents: learns from labels, not scores"
    return found


def _encoder(embedder: Embedder) -> Foreign:
    base: Any = import_module("semantic_router.encoders").DenseEncoder

    class Encoder(base):  # type: ignore[misc] # its class is known only in its environment
        def __call__(self, docs: list[str]) -> list[list[float]]:
            return [embedder(text).tolist() for text in docs]

    return Encoder(name="minilm")


def _router(problem: Problem, encoder: Foreign, order: list[int], neighbours: int, aggregation: str) -> Foreign:
    route_of = import_module("semantic_router").Route
    labels = best_experts(problem.train.scores, order)
    routes = []
    for column, name in enumerate(problem.experts):
        texts = [text for text, label in zip(problem.train.texts, labels, strict=True) if label == column]
        if texts:
            routes.append(route_of(name=name, utterances=texts))
    router_of = import_module("semantic_router.routers").IndexedRouter
    with quiet():
        return router_of(encoder=encoder, routes=routes, top_k=neighbours, aggregation=aggregation)


def _choices(problem: Problem, router: Foreign, split: Split) -> list[int]:
    with quiet():
        names = [router(text).name for text in split.texts]
    return [problem.experts.index(name) if name in problem.experts else -1 for name in names]


if __name__ == "__main__":
    answer(route)
