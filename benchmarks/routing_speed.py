"""Milliseconds from an instruction of 60 tokens to its expert, by encoder, on one core; and what a fast one loses.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/routing_speed.py
        [--encoders static,tfidf,...] [--rounds 300] [--experts 12] [--sentence_transformers]
        [--quality DATASET ...]

A linear router is trained for each encoder on instructions of the `bundled` source with scores made up from a seed,
then routes one instruction after the other, end to end: encode, expected scores, calibration, costs, policy, reason.
The encoders, the bare call of the ONNX session (tokens at hand) and sentence-transformers take turns, ten instructions
each, so all meet the same machine; `cpu_ms` is the processor's time, which a busy machine disturbs less. `--quality`
trains on the train and validation rows of datasets and states the mean score on their test rows beside that of MiniLM
with its original weights.
"""

import argparse
import json
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from dataset_build import MiniLM, load_instructions, parse_source
from mixture_training.src.encoders.cache import encode_cached
from mixture_training.src.encoders.factory import make_encoder
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier, fit_ridge
from mixture_training.src.metrics.bootstrap import paired_difference
from mixture_training.src.metrics.references import pick
from mixture_training.src.model_recommender import Recommender
from mixture_training.src.training_data import TrainingData, load_training_data

REFERENCE = "minilm-fp32"
ENCODERS = ("static", "features", "tfidf", "static+tfidf+features", "minilm", REFERENCE)
NAMES = ("Maria", "Ahmed", "Chen", "Olga", "Peter", "Amina", "Lars", "Yuki")
THINGS = ("pencils", "notebooks", "apples", "candles", "tickets", "plates", "stamps", "bottles")
BATCH, TURN = 1000, 10


def main() -> None:
    """Run it and print the figures as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", default=",".join(ENCODERS))
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--experts", type=int, default=12)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--sentence_transformers", action="store_true")
    parser.add_argument("--quality", nargs="*", default=[])
    args = parser.parse_args()
    names = args.encoders.split(",")
    for path in args.quality:
        for figures in quality(path, names):
            print(json.dumps(figures), flush=True)
    if not args.quality:
        speed(names, args.rounds, made_up_data(args.train, args.experts), with_peer=args.sentence_transformers)


def speed(names: Sequence[str], rounds: int, data: TrainingData, *, with_peer: bool) -> None:
    """Print the p50 and p95 of single routes, and routes per second in batches."""
    recommenders = {name: Recommender(fit_router(data, LinearClassifier(encoder=name))) for name in names}
    texts = instructions(max(rounds, BATCH))
    calls: dict[str, Callable[[str], object]] = {
        f"route, {name}": partial(route_one, recommender) for name, recommender in recommenders.items()
    }
    for precision in ("int8", "fp32"):
        model = MiniLM.load(precision)
        ids = {text: np.array([model._tokenizer.encode(text).ids], dtype=np.int64) for text in texts[:rounds]}
        calls[f"bare session, {precision}"] = partial(run_session, model, ids)
    if with_peer:
        from sentence_transformers import SentenceTransformer

        peer = SentenceTransformer(str(MiniLM.packaged_folder()), device="cpu")
        calls["encode, sentence-transformers"] = lambda text: peer.encode([text], show_progress_bar=False)
    wall, cpu = defaultdict(list), defaultdict(list)
    for start in range(0, rounds, TURN):
        for name, call in calls.items():
            for text in texts[start : min(start + TURN, rounds)]:
                started = time.perf_counter(), time.process_time()
                call(text)
                wall[name].append((time.perf_counter() - started[0]) * 1e3)
                cpu[name].append((time.process_time() - started[1]) * 1e3)
    tokens = statistics.median(int(row.size) for row in ids.values())
    print(json.dumps({"tokens": tokens, "experts": len(data.experts), "rounds": rounds}))
    warm = min(TURN, rounds // 2)  # the first turn of each does not count
    for name in calls:
        p50, p95 = np.quantile(wall[name][warm:], [0.5, 0.95])
        used = float(np.median(cpu[name][warm:]))
        figures = {"what": name, "p50_ms": round(p50, 3), "p95_ms": round(p95, 3), "cpu_ms": round(used, 3)}
        bare = {"route, minilm": "bare session, int8", f"route, {REFERENCE}": "bare session, fp32"}.get(name)
        if bare:
            figures["over_bare_session"] = round(used / float(np.median(cpu[bare][warm:])), 3)
        print(json.dumps(figures), flush=True)
    for name, recommender in recommenders.items():
        n = 100 if "minilm" in name else BATCH
        for what, call in (("table", recommender.table), ("recommend", recommender.recommend)):
            rates = [rate(call, texts[:n]) for _ in range(5)]
            wall_rate, cpu_rate = (round(statistics.median(column)) for column in zip(*rates, strict=True))
            figures = {"batch": n, "encoder": name, "call": what, "per_second": wall_rate}
            print(json.dumps({**figures, "per_cpu_second": cpu_rate}), flush=True)


def route_one(recommender: Recommender, text: str) -> None:
    """Route one instruction."""
    recommender.recommend([text])


def run_session(model: MiniLM, ids: Mapping[str, np.ndarray], text: str) -> None:
    """Run the model on the tokens of a text."""
    model._session.run(None, {"input_ids": ids[text]})


def rate(call: Callable[[Sequence[str]], object], texts: Sequence[str]) -> tuple[float, float]:
    """Return texts per second, and per second of the processor's time."""
    started = time.perf_counter(), time.process_time()
    call(texts)
    return len(texts) / (time.perf_counter() - started[0]), len(texts) / (time.process_time() - started[1])


def instructions(n: int) -> list[str]:
    """Return n different instructions of about 60 tokens."""
    chance = random.Random(0)
    pick_one, number = chance.choice, chance.randint
    return [
        f"{pick_one(NAMES)} buys {number(2, 90)} {pick_one(THINGS)} at {number(11, 99)} cents each and {number(2, 90)} "
        f"{pick_one(THINGS)} at {number(1, 9)}.40 dollars, pays with a {pick_one((50, 100, 500))} dollar bill, and "
        f"gives half of the change to {pick_one(NAMES)}. How much money is left, and what share of all that was paid "
        "was spent on the first of the two?"
        for _ in range(n)
    ]


def made_up_data(rows: int, experts: int) -> TrainingData:
    """Return instructions of the `bundled` source; every expert is good at some of their categories."""
    loaded = load_instructions([parse_source("bundled")], limit=rows)
    categories = [instruction.category or "" for instruction in loaded]
    kinds = sorted(set(categories))
    chance = np.random.default_rng(0)
    ability = chance.random((len(kinds), experts))
    wanted = ability[[kinds.index(category) for category in categories]]
    return TrainingData(
        ids=tuple(instruction.id for instruction in loaded),
        texts=tuple(instruction.text for instruction in loaded),
        categories=tuple(categories),
        splits=tuple("train" if share < 0.8 else "validation" for share in chance.random(len(loaded))),
        experts=tuple(f"expert {number}" for number in range(experts)),
        scores=(chance.random(wanted.shape) < wanted).astype(float),
        costs=chance.random((1, experts)) * 0.01 * (1 + chance.random(wanted.shape)),
        latencies=np.full(wanted.shape, np.nan),
    )


def quality(path: str, names: Sequence[str]) -> list[dict[str, object]]:
    """Return the mean test score of a linear router by encoder, and its difference from the reference's."""
    data = load_training_data(path)
    is_test = np.array([split == "test" for split in data.splits])
    train, test = data.take(~is_test), data.take(is_test)
    routed = {}
    for name in dict.fromkeys([REFERENCE, *names]):
        encoder = make_encoder(name).fit(train.texts)
        ridge = fit_ridge(encode_cached(encoder, train.texts), train.scores)
        routed[name] = pick(test.scores, ridge.predict(encode_cached(encoder, test.texts)).argmax(axis=1))
    figures: list[dict[str, object]] = []
    for name, scores in routed.items():
        ahead = paired_difference(scores, routed[REFERENCE])
        figures.append(
            {
                "dataset": path.rpartition("/")[2],
                "test_rows": len(test),
                "encoder": name,
                "quality": round(float(np.nanmean(scores)), 4),
                "vs_reference": [round(value, 4) for value in (ahead.value, ahead.low, ahead.high)],
            }
        )
    return figures


if __name__ == "__main__":
    main()
