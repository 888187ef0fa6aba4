"""A router folder whose experts are endpoints on this machine, with the static encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset_build import Price
from mixture_training.src.artifacts import ExpertCard
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.training_data import TrainingData

#: Kinds of instructions; every expert is good at some of them.
KINDS = {
    "sums": "Maria buys {a} pencils at {b} cents each and pays with a 100 dollar bill. How much money is left?",
    "poems": "Write a short poem about the colour of the sea on day {a} of the voyage to island {b}.",
    "code": "Write a Python function that returns the {a}th prime number above {b} and explain its running time.",
    "facts": "Which city was the capital of province number {a} in the year {b}, and who founded it?",
}


def make_router_folder(
    folder: Path, experts: Mapping[str, str], *, encoder: str = "static", rows: int = 400, seed: int = 0
) -> Path:
    """Train a small linear router and save it.

    Args:
        folder: Must not exist.
        experts: Name -> base URL; the model asked for there has the expert's name.
        encoder: A registered one.
        rows: Instructions to learn from.
        seed: Of the made-up scores.
    """
    data = made_up_data(rows, list(experts), seed)
    router = fit_router(data, LinearClassifier(encoder=encoder), guard=False, seed=seed)
    cards = tuple(_card(card, experts[card.name]) for card in router.experts)
    return replace(router, experts=cards).save(folder)


def _card(card: ExpertCard, url: str) -> ExpertCard:
    price = Price(prompt_per_million=1.0, completion_per_million=2.0)
    config = {
        "provider": "openai_compatible",
        "name": card.name,
        "base_url": url,
        "model": card.name,
        "price": {"prompt_per_million": 1.0, "completion_per_million": 2.0},
    }
    return replace(card, config=config, price=price)


def made_up_data(rows: int, experts: Sequence[str], seed: int) -> TrainingData:
    """Return instructions of some kinds, with a score of each expert drawn from its ability for the kind."""
    chance = np.random.default_rng(seed)
    names = list(KINDS)
    kinds = chance.integers(len(names), size=rows)
    numbers = chance.integers(2, 2000, size=(rows, 2))
    ability = np.array([[0.9 if (k + e) % len(experts) == 0 else 0.4 for e in range(len(experts))] for k in range(4)])
    wanted = ability[kinds]
    return TrainingData(
        ids=tuple(f"i{row}" for row in range(rows)),
        texts=tuple(KINDS[names[kind]].format(a=a, b=b) for kind, (a, b) in zip(kinds, numbers, strict=True)),
        categories=tuple(names[kind] for kind in kinds),
        splits=tuple("train" if share < 0.75 else "validation" for share in chance.random(rows)),
        experts=tuple(experts),
        scores=(chance.random(wanted.shape) < wanted).astype(float),
        costs=0.001 * (1.0 + chance.random(wanted.shape)),
        latencies=np.full(wanted.shape, 0.05),
    )
