"""A small real dataset and router that several test files use."""

import numpy as np
import pytest

from dataset_build import Answer, CannotAnswerError, Expert, Price, ToolExpert
from mixture_training.src.artifacts import ExpertCard, Router
from mixture_training.src.costs import CostModel
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.training_data import TrainingData

VERBS = ("add", "sum up", "total", "work out", "compute", "put together")
TOPICS = ("spring", "the sea", "a cat", "old trains", "my garden", "rain", "bread", "winter", "the moon", "music")


class Adder(ToolExpert):
    """Adds the numbers it finds; cannot do anything else."""

    tool_name = "adder"

    def solve(self, text):
        numbers = [int(word) for word in text.split() if word.isdigit()]
        if not numbers:
            raise CannotAnswerError("there is no number in it")
        return str(sum(numbers))


class Poet(Expert):
    """Writes one line about anything, for a cent."""

    def __init__(self, name="poet"):
        super().__init__(name, price=Price(per_call=0.01), description="Writes poems.")

    async def answer(self, instruction):
        return Answer(f"O {instruction.text}!")


def make_data(n=120, seed=0):
    """Return two sums, which `adder` gets right, to three poems, which `poet` gets right; some cells are missing."""
    rng = np.random.default_rng(seed)
    texts, categories = [], []
    for index in range(n):
        if index % 5 < 2:
            a, b = rng.integers(1, 999, size=2)
            texts.append(f"{VERBS[rng.integers(len(VERBS))]} {a} and {b} please")
            categories.append("sums")
        else:
            texts.append(f"write a poem about {TOPICS[rng.integers(len(TOPICS))]} number {index} of the series")
            categories.append("poems")
    sums = np.array(categories) == "sums"
    scores = np.column_stack([sums, ~sums]).astype(float)
    scores[rng.random(scores.shape) < 0.05] = np.nan
    costs = np.tile([0.001, 0.01], (n, 1))
    costs[:5] = np.nan
    splits = ["train"] * (n // 2) + ["validation"] * (n // 4) + ["test"] * (n - n // 2 - n // 4)
    return TrainingData(
        ids=tuple(f"i{index}" for index in range(n)),
        texts=tuple(texts),
        categories=tuple(categories),
        splits=tuple(splits),
        experts=("adder", "poet"),
        scores=scores,
        costs=costs,
        latencies=np.full((n, 2), 0.1),
    )


def make_router(data, configs=(None, None)):
    """Return a router fitted to `data`."""
    train, validation = data.split("train"), data.split("validation")
    classifier = LinearClassifier(encoder="tfidf").fit(train, validation)
    means = train.expert_means()
    cards = tuple(
        ExpertCard(name, "", Price(), config, float(mean), 0.01)
        for name, mean, config in zip(data.experts, means, configs, strict=True)
    )
    return Router(
        classifier=classifier,
        costs=CostModel.fit(train, category_names=classifier.category_names_),
        experts=cards,
        best_single="poet",
        model_type="linear",
        _training=data.take([split != "test" for split in data.splits]),
    )


@pytest.fixture(scope="session")
def small_data():
    return make_data()


@pytest.fixture
def router_folder(small_data, tmp_path):
    return make_router(small_data).save(tmp_path / "router")


@pytest.fixture
def echo_router_folder(small_data, tmp_path):
    """A router whose experts can be built from their configurations."""
    configs = ({"provider": "echo", "name": "adder"}, {"provider": "echo", "name": "poet"})
    return make_router(small_data, configs).save(tmp_path / "echo_router")


@pytest.fixture
def pool():
    return [Adder(), Poet()]


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of this test run."""
    pytest.importorskip("psycopg")
    from tests.postgres_server import start_postgres

    running = start_postgres()
    try:
        server = running.__enter__()
    except LookupError as problem:
        pytest.skip(str(problem))
    yield server
    running.__exit__(None, None, None)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_place(request, tmp_path):
    """Where a new store may be made: a file, and again a database of a server."""
    if request.param == "sqlite":
        return tmp_path / "new" / "f.sqlite3"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture(scope="session")
def browser():
    """A headless browser, started once."""
    from tests.mixture_training.page_browser import started_browser

    with started_browser() as running:
        yield running
