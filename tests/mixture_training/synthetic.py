"""Data on which routing is easy: who is good is said by the words of the instruction."""

import numpy as np

from mixture_training.src.training_data import TrainingData

TOPICS = {
    "fruit": ["apple", "pear", "plum", "cherry", "peach", "melon"],
    "metal": ["iron", "copper", "zinc", "silver", "gold", "lead"],
    "animal": ["horse", "sheep", "tiger", "rabbit", "eagle", "salmon"],
}
#: What an instruction on a topic asks for, besides politeness where the words say please.
ABILITIES = {"fruit": ("botany", "taste"), "metal": ("chemistry",), "animal": ("botany",)}
EXPERTS = ("fruiterer", "smith", "vet")


def make_data(rows: int, *, split: str = "train", seed: int = 0, missing: float = 0.0) -> TrainingData:
    """Each expert scores about 0.9 on its own topic and 0.2 on the others; a share of the cells is missing.

    So is a share of the categories and abilities.
    """
    chance = np.random.default_rng(seed)
    names = list(TOPICS)
    topics = chance.integers(0, 3, rows)
    texts = [f"tell me about {' and '.join(chance.choice(TOPICS[names[topic]], 2))}" for topic in topics]
    own = topics[:, None] == np.arange(3)
    scores = np.clip(np.where(own, 0.9, 0.2) + chance.normal(0, 0.05, (rows, 3)), 0, 1)
    scores[chance.random((rows, 3)) < missing] = np.nan
    told = np.random.default_rng([seed, 1]).random(rows) >= missing
    return TrainingData(
        ids=tuple(f"{split}-{seed}-{row}" for row in range(rows)),
        texts=tuple(texts),
        categories=tuple(names[topic] if chance.random() > missing else None for topic in topics),
        splits=(split,) * rows,
        experts=EXPERTS,
        scores=scores,
        costs=np.tile([0.001, 0.002, 0.003], (rows, 1)),
        latencies=np.full((rows, 3), np.nan),
        descriptions=("knows fruit", "knows metals", "knows animals"),
        abilities=tuple(ABILITIES[names[topic]] if known else None for topic, known in zip(topics, told, strict=True)),
    )


def joined(*parts: TrainingData) -> TrainingData:
    """Return the rows of all parts."""
    first = parts[0]
    return TrainingData(
        ids=sum((part.ids for part in parts), ()),
        texts=sum((part.texts for part in parts), ()),
        categories=sum((part.categories for part in parts), ()),
        splits=sum((part.splits for part in parts), ()),
        experts=first.experts,
        scores=np.concatenate([part.scores for part in parts]),
        costs=np.concatenate([part.costs for part in parts]),
        latencies=np.concatenate([part.latencies for part in parts]),
        descriptions=first.descriptions,
        abilities=sum((part.abilities for part in parts), ()),
    )
