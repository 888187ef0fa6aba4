"""LLMRouter (llmrouter-lib): its routers, trained and asked as its documentation says, on vectors it did not choose.

Its encoder is a Longformer from a model hub; `llmrouter.utils.get_longformer_embedding`, which every router calls, is
replaced before they are imported, and so is the call of the chosen model. Hyper-parameters are those of its published
configuration files. `NAME tuned` also tries a few others, and the order of the rows, on validation: its labels are the
first best row of each query, so where experts are equally good, the order decides.
"""

import json
import random
import time
from collections.abc import Callable
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from embedder import Embedder
from exchange import Answer, Foreign, Problem, Split, answer, mean_score, median_ms, quiet

#: Method -> its router, its trainer, the file ending of its model, its published hyper-parameters, those to try.
ROUTERS: dict[str, tuple[str, str, str, dict[str, Any], dict[str, list[Any]]]] = {
    "knnrouter": (
        "KNNRouter",
        "KNNRouterTrainer",
        "pkl",
        {"n_neighbors": 5, "weights": "uniform", "algorithm": "auto", "leaf_size": 30, "p": 2, "metric": "minkowski"},
        {"n_neighbors": [5, 20, 50, 100], "weights": ["uniform", "distance"]},
    ),
    "svmrouter": (
        "SVMRouter",
        "SVMRouterTrainer",
        "pkl",
        {"kernel": "rbf", "C": 1.0, "gamma": "scale", "probability": True},
        {"C": [0.1, 1.0, 10.0]},
    ),
    "mlprouter": (
        "MLPRouter",
        "MLPTrainer",
        "pkl",
        {
            "hidden_layer_sizes": [128, 64],
            "activation": "relu",
            "lr": 0.001,
            "epochs": 100,
            "batch_size": 32,
            "alpha": 0.0001,
        },
        {"epochs": [10, 100]},
    ),
    "mfrouter": (
        "MFRouter",
        "MFRouterTrainer",
        "pkl",
        {"latent_dim": 128, "text_dim": 384, "lr": 0.001, "epochs": 5, "noise_alpha": 0.0},
        {"lr": [0.001, 0.01]},
    ),
    "elorouter": ("EloRouter", "EloRouterTrainer", "pkl", {}, {}),
    "hybrid_llm": (
        "HybridLLMRouter",
        "HybridLLMTrainer",
        "pkl",
        {"hidden_layer_sizes": [128, 64], "activation": "relu", "solver": "adam", "max_iter": 300},
        {},
    ),
    "graphrouter": (
        "GraphRouter",
        "GraphTrainer",
        "pt",
        {
            "hidden_dim": 64,
            "learning_rate": 0.001,
            "weight_decay": 0.0001,
            "train_epoch": 100,
            "batch_size": 4,
            "train_mask_rate": 0.3,
            "val_split_ratio": 0.2,
        },
        {"train_epoch": [100]},
    ),
    "dcrouter": (
        "DCRouter",
        "DCTrainer",
        "pth",
        {
            "hidden_state_dim": 768,
            "similarity_function": "cos",
            "batch_size": 32,
            "training_steps": 500,
            "learning_rate": 5e-5,
            "top_k": 3,
            "last_k": 3,
            "temperature": 1.0,
            "sample_loss_weight": 0.0,
            "cluster_loss_weight": 1.0,
            "H": 3,
            "gradient_accumulation": 1,
            "device": "cpu",
            "eval_steps": 50,
            "n_clusters": 3,
            "source_max_token_len": 512,
            "target_max_token_len": 512,
        },
        {},
    ),
}
#: What had to be worked around for every router that reads vectors.
_ENCODER = "encoder fixed to a hub's Longformer: function replaced"


def route(problem: Problem, method: str) -> Answer:
    """Train and ask the router called `method`."""
    name, _, tuned = method.partition(" ")
    random.seed(problem.seed)
    np.random.seed(problem.seed)  # noqa: NPY002 - its routers draw from the global generator
    import_module("torch").manual_seed(problem.seed)
    embedder = Embedder(problem)
    _replace_what_needs_the_network(embedder)
    models = import_module("llmrouter.models")
    as_given, best_first = list(range(len(problem.experts))), _best_first(problem)
    started = time.perf_counter()
    if not tuned:
        run = _Run(problem, models, name, ROUTERS[name][3], as_given)
        trained_s = time.perf_counter() - started
    else:
        grid = ROUTERS[name][4]
        settings = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
        tried = []
        for order, options in product((as_given, best_first), settings):
            run = _Run(problem, models, name, ROUTERS[name][3] | options, order)
            tried.append((mean_score(problem.validation.scores, run.choices(problem.validation)), run, options, order))
        trained_s = time.perf_counter() - started
        _, run, options, order = max(tried, key=lambda trial: trial[0])
        run.train()  # its model lies in a file, which the later ones have overwritten
    found = Answer(choices=run.choices(problem.test), train_s=trained_s, configuration=run.configuration())
    if tuned:
        found.settings = f"{options}, rows {'best first' if order == best_first else 'as given'}"
    found.curve = run.curve(problem.test) if name == "hybrid_llm" else []
    found.broke = "" if name == "elorouter" else _ENCODER
    if name == "hybrid_llm":
        found.broke += "; two experts only, sizes must be made up for hosted models"
    embedder.is_live = True
    found.route_ms = median_ms(run.one, problem.test.texts)
    return found


def _replace_what_needs_the_network(embedder: Embedder) -> None:
    torch: Foreign = import_module("torch")
    utils: Foreign = import_module("llmrouter.utils")

    def vector(text: str) -> object:
        return torch.from_numpy(np.array(embedder(text)))

    utils.get_longformer_embedding = vector
    utils.call_api = lambda *_, **__: {"response": "", "prompt_tokens": 0, "completion_tokens": 0}


def _best_first(problem: Problem) -> list[int]:
    means = np.nan_to_num(np.nanmean(problem.train.scores, axis=0), nan=-1.0)
    return [int(column) for column in np.argsort(-means, kind="stable")]


class _Run:
    """One router on one order of the rows, trained."""

    def __init__(self, problem: Problem, models: Foreign, name: str, options: dict[str, Any], order: list[int]) -> None:
        self._problem, self._name = problem, name
        self._folder = problem.folder / "llmrouter"
        self._folder.mkdir(exist_ok=True)
        self._files = self._write(options, order)
        router, trainer = ROUTERS[name][:2]
        self._make: Callable[[], tuple[Foreign, Foreign]] = lambda: _made(
            getattr(models, router), getattr(models, trainer), str(self._yaml)
        )
        self.train()

    def train(self) -> None:
        """Build the router from its configuration and fit it."""
        with quiet():
            self._files_again()
            self._router, trainer = self._make()
            trainer.train()

    def _files_again(self) -> None:
        for path, text in self._files.items():
            path.write_text(text, encoding="utf-8")

    def _write(self, options: dict[str, Any], order: list[int]) -> dict[Path, str]:
        problem, folder = self._problem, self._folder
        torch = import_module("torch")
        vectors = np.concatenate([problem.train.vectors, problem.validation.vectors])
        torch.save(torch.from_numpy(vectors.astype(np.float32)), folder / "vectors.pt")
        self._yaml = folder / f"{self._name}.yaml"
        model = folder / f"{self._name}.{ROUTERS[self._name][2]}"
        paths = {
            "query_data_train": "queries.jsonl",
            "query_data_test": "held_queries.jsonl",
            "query_embedding_data": "vectors.pt",
            "routing_data_train": "routing.jsonl",
            "routing_data_test": "held_routing.jsonl",
            "llm_data": "llm.json",
        }
        # Sizes are what its rules go by; hosted models publish none, so the rank of their price stands in.
        ranks = np.argsort(np.argsort(problem.prices))
        candidates = {
            expert: {"size": f"{rank + 1}B", "model": expert, "feature": expert}
            for expert, rank in zip(problem.experts, ranks, strict=True)
        }
        lines = ["data_path:", *(f"  {key}: '{folder / file}'" for key, file in paths.items())]
        lines += [
            "model_path:",
            "  ini_model_path: ''",
            f"  save_model_path: '{model}'",
            f"  load_model_path: '{model}'",
        ]
        if self._name == "dcrouter":
            lines.append("  backbone_model: 'microsoft/mdeberta-v3-base'")
        if self._name == "hybrid_llm":
            lines += ["router_mode: probabilistic", "router_tau: 0.1", "router_threshold: 0.5"]
        lines += [
            "hparam:" if options else "hparam: {}",
            *(f"  {key}: {json.dumps(value)}" for key, value in options.items()),
        ]
        lines += ["metric:", "  weights:", "    performance: 1", "api_endpoint: 'http://127.0.0.1:9/v1'"]
        train, held = problem.train, problem.validation
        return {
            self._yaml: "\n".join(lines) + "\n",
            folder / "llm.json": json.dumps(candidates, indent=1),
            folder / "queries.jsonl": _queries(train),
            folder / "held_queries.jsonl": _queries(held),
            folder / "routing.jsonl": _routing(problem, train, 0, order),
            folder / "held_routing.jsonl": _routing(problem, held, len(train.texts), order),
        }

    def configuration(self) -> str:
        """Return the files a user writes by hand and the calls."""
        candidates = json.loads(self._files[self._folder / "llm.json"])
        calls = ["train", "infer"]
        written = [self._files[self._yaml], *(json.dumps({expert: facts}) for expert, facts in candidates.items())]
        return "\n".join([*written, *(f"llmrouter {call} --router {self._name} --config F.yaml" for call in calls)])

    def one(self, text: str) -> str:
        """Return the expert for one text."""
        return str(self._router.route_single({"query": text})["model_name"])

    def choices(self, split: Split) -> list[int]:
        """Return the expert of each row, by its batch call."""
        with quiet():
            routed = self._router.route_batch(batch=[{"query": text} for text in split.texts])
        return [self._problem.experts.index(row["model_name"]) for row in routed]

    def curve(self, split: Split) -> list[list[int]]:
        """Return the choices at each threshold between the small and the large model."""
        small, large = (
            self._problem.experts.index(name) for name in (self._router.small_model_name, self._router.large_model_name)
        )
        with quiet():
            scores = np.array([self._router.route_single({"query": text})["router_score"] for text in split.texts])
        thresholds = np.unique(np.quantile(scores, np.linspace(0, 1, 40)))
        return [[small if score >= at else large for score in scores] for at in [*thresholds, 2.0]]


def _made(router: Foreign, trainer: Foreign, configuration: str) -> tuple[Foreign, Foreign]:
    built = router(configuration)
    return built, trainer(built, device="cpu")


def _queries(split: Split) -> str:
    return "".join(json.dumps({"query": text, "ground_truth": ""}) + "\n" for text in split.texts)


def _routing(problem: Problem, split: Split, first: int, order: list[int]) -> str:
    rows = []
    for row, text in enumerate(split.texts):
        for column in order:
            score = split.scores[row, column]
            if not np.isnan(score):
                told = {"query": text, "model_name": problem.experts[column], "performance": float(score)}
                rows.append(json.dumps({**told, "embedding_id": first + row}))
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    answer(route)
