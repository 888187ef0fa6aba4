"""RouteLLM: a strong and a weak model, and the chance that the strong one wins; the threshold is the user's.

Its published checkpoints lie on a model hub and its vectors come from OpenAI, so `mf` and `sw_ranking` are trained here
with its own code on the same rows, with vectors from a local endpoint that its client is pointed at. The strong model
is the best single expert of train, the weak one the cheapest other. The threshold is the one at which half the calls of
validation go to the strong model, as its README does; `NAME tuned` takes the one that scored best on validation.
"""

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from embedder import Embedder, serve_embeddings
from exchange import Answer, Array, Foreign, Problem, Split, answer, mean_score, median_ms, quiet

#: Its table of models is fixed; these two stand for ours.
STRONG, WEAK = "gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1"
#: Its trainer's settings, as in its script.
TRAINING = {"lr": 3e-4, "weight_decay": 1e-5, "alpha": 0.1, "num_epochs": 100}
#: Shorter prompts are dropped from its battles, but not from their vectors.
SHORTEST = 16
#: Thresholds along the curve.
POINTS = 40

CONFIGURATION = """
os.environ["OPENAI_API_KEY"], os.environ["OPENAI_BASE_URL"] = ...
controller = Controller(
    routers=[NAME],
    strong_model=...,
    weak_model=...,
    config={NAME: {...}},
)
threshold = ...  # python -m routellm.calibrate_threshold
controller.route(prompt, NAME, threshold)
"""
TRAIN_MF = """
from routellm.routers.matrix_factorization import train_matrix_factorization as mf
data = [{"model_a": ..., "model_b": ..., "winner": ..., "idx": ...} for ...]
np.save("embeddings.npy", ...)
pairs = mf.PairwiseDataset(data[: int(0.95 * len(data))]).get_dataloaders(64)
held = mf.PairwiseDataset(data[int(0.95 * len(data)) :]).get_dataloaders(1024, shuffle=False)
net = mf.MFModel_Train(dim=128, num_models=64, num_prompts=..., text_dim=384, npy_path="embeddings.npy")
mf.train_loops(net, pairs, held, lr=3e-4, weight_decay=1e-5, alpha=0.1, num_epochs=100, device="cpu")
state = {"P.weight": ..., "text_proj.0.weight": ..., "classifier.0.weight": ...}
model = MFModel(dim=128, num_models=64, text_dim=384, num_classes=1, use_proj=True)
model.load_state_dict(state)
model.save_pretrained("checkpoint")
"""
TRAIN_SW = """
battles = [{"prompt": json.dumps([...]), "model_a": ..., "model_b": ..., "winner_model_a": ..., ...} for ...]
write("battles/train.jsonl", battles)
write("vectors/train.jsonl", [{"embeddings": ...} for ...])
"""


def route(problem: Problem, method: str) -> Answer:
    """Train and ask the router called `method`."""
    name, _, tuned = method.partition(" ")
    random.seed(problem.seed)
    embedder = Embedder(problem)
    os.environ["OPENAI_API_KEY"], os.environ["OPENAI_BASE_URL"] = "none", serve_embeddings(embedder)
    pair = strong_and_weak(problem)
    make: dict[str, Callable[[Problem, tuple[int, int]], dict[str, Any]]] = {
        "mf": _train_mf,
        "sw_ranking": _write_battles,
    }
    controller_of = import_module("routellm.controller").Controller
    started = time.perf_counter()
    with quiet():
        # Without a configuration it takes its published checkpoints.
        config = {name: make[name](problem, pair)} if name in make else None
        names = [problem.experts[column] for column in pair]
        controller = controller_of([name], strong_model=names[0], weak_model=names[1], config=config)
        held = _win_rates(controller, name, problem.validation)
        if tuned:
            threshold = max(
                np.unique(held), key=lambda at: mean_score(problem.validation.scores, _chosen(held, at, pair))
            )
        else:
            threshold = float(np.quantile(held, 0.5))
        found = Answer(train_s=time.perf_counter() - started)
        rates = _win_rates(controller, name, problem.test)
    found.choices = _chosen(rates, threshold, pair)
    found.curve = [_chosen(rates, at, pair) for at in [*np.unique(np.quantile(rates, np.linspace(0, 1, POINTS))), 2.0]]
    embedder.is_live = True
    found.route_ms = median_ms(lambda text: controller.route(text, name, min(threshold, 1.0)), problem.test.texts)
    found.configuration = CONFIGURATION + (TRAIN_MF if name == "mf" else TRAIN_SW)
    found.settings = f"strong {names[0]}, weak {names[1]}, threshold {threshold:.3f}"
    found.broke = "two experts only; hub and OpenAI vectors: endpoint replaced; "
    if name == "mf":
        found.broke += "64 fixed model names: two borrowed; its trainer's state has other keys than its router's"
    else:
        found.broke += "10 tiers need 10 models: 2; prompts under 16 characters break an assertion: left out"
    return found


def strong_and_weak(problem: Problem) -> tuple[int, int]:
    """Return the best single expert of train and the cheapest other."""
    strong = problem.best_single
    others = [column for column in np.argsort(problem.prices, kind="stable") if column != strong]
    return strong, int(others[0])


def _win_rates(controller: Foreign, name: str, split: Split) -> Array:
    router = controller.routers[name]
    return np.array([router.calculate_strong_win_rate(text) for text in split.texts])


def _chosen(rates: Array, threshold: float, pair: tuple[int, int]) -> list[int]:
    return [pair[0] if rate >= threshold else pair[1] for rate in rates]


def _train_mf(problem: Problem, pair: tuple[int, int]) -> dict[str, Any]:
    torch = import_module("torch")
    trainer = import_module("routellm.routers.matrix_factorization.train_matrix_factorization")
    model_of = import_module("routellm.routers.matrix_factorization.model").MFModel
    folder = _fresh(problem, "mf")
    np.save(folder / "embeddings.npy", problem.train.vectors)
    gained = problem.train.scores[:, pair[0]] - problem.train.scores[:, pair[1]]
    data = [
        {"model_a": STRONG, "model_b": WEAK, "winner": "model_a" if gain > 0 else "model_b", "idx": row}
        for row, gain in enumerate(gained)
        if not np.isnan(gain) and gain != 0
    ]
    random.shuffle(data)
    cut = int(len(data) * 0.95)
    torch.manual_seed(problem.seed)
    dimensions = problem.train.vectors.shape[1]
    net = trainer.MFModel_Train(
        dim=128, num_models=64, num_prompts=len(gained), text_dim=dimensions, npy_path=folder / "embeddings.npy"
    )
    pairs = trainer.PairwiseDataset(data[:cut]).get_dataloaders(64, shuffle=True)
    held = trainer.PairwiseDataset(data[cut:]).get_dataloaders(1024, shuffle=False)
    trainer.train_loops(net, pairs, held, device="cpu", **TRAINING)
    trained = net.state_dict()
    model = model_of(dim=128, num_models=64, text_dim=dimensions, num_classes=1, use_proj=True)
    keys = {
        "P.weight": "P.weight",
        "text_proj.0.weight": "text_proj.weight",
        "classifier.0.weight": "classifier.weight",
    }
    model.load_state_dict({own: trained[key] for own, key in keys.items()})
    model.save_pretrained(folder / "checkpoint")
    return {
        "checkpoint_path": str(folder / "checkpoint"),
        "strong_model": STRONG,
        "weak_model": WEAK,
        "text_dim": dimensions,
    }


def _write_battles(problem: Problem, pair: tuple[int, int]) -> dict[str, Any]:
    folder = _fresh(problem, "sw_ranking")
    battles, vectors = [], []
    for text, vector, row in zip(problem.train.texts, problem.train.vectors, problem.train.scores, strict=True):
        gain = row[pair[0]] - row[pair[1]]
        if np.isnan(gain) or len(text.strip()) < SHORTEST:
            continue
        outcome = {"winner_model_a": int(gain > 0), "winner_model_b": int(gain < 0), "winner_tie": int(gain == 0)}
        battles.append({"prompt": json.dumps([text]), "model_a": STRONG, "model_b": WEAK, **outcome})
        vectors.append({"embeddings": vector.tolist()})
    for name, rows in (("battles", battles), ("vectors", vectors)):
        (folder / name).mkdir()
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / name / "train.jsonl").write_text(lines, encoding="utf-8")
    return {
        "arena_battle_datasets": [str(folder / "battles")],
        "arena_embedding_datasets": [str(folder / "vectors")],
        "strong_model": STRONG,
        "weak_model": WEAK,
        "num_tiers": 2,
    }


def _fresh(problem: Problem, name: str) -> Path:
    folder = problem.folder / "routellm" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    answer(route)
