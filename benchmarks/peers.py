"""Other routing libraries beside this one: installed from PyPI, trained on the same rows, judged by the same measures.

    python benchmarks/peers.py [--dataset F.parquet ...] [--peers llmrouter-lib,routellm] [--work DIR]

Each peer gets a virtual environment of its own, the train and validation rows, and the same sentence encoder (MiniLM)
as vectors; each of its methods runs in a process of its own on one thread. It answers with an expert for every test
row, and again for each setting of its cost knob where it has one; test scores are never shown to it. What breaks is a
row of the table. Nothing is asked of a model hub or of a paid service.

Lines of configuration are those a user writes in files and calls, the conversion of the data left out. Training is from
vectors for peers, from raw text for this project. A route is from a text to a name, encoding included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peers_table import Found, judge, markdown
from mixture_training.src.metrics.references import known_means
from mixture_training.src.training_data import TrainingData, load_training_data

ADAPTERS = Path(__file__).resolve().parent / "peers"
#: Releases that are safe (two of litellm's were compromised) and, for torch, made for processors alone.
CONSTRAINTS = ("torch==2.13.0", "litellm==1.110.2")
#: Packages whose presence means that a GPU build would be downloaded.
GPU_PACKAGES = ("nvidia-", "triton", "cuda-")
_ENCODER = ("torch", "transformers")


@dataclass(frozen=True)
class Peer:
    """A library, how it is installed, and what of it runs.

    Attributes:
        name: On PyPI; "ours" is this checkout, in the interpreter that runs the benchmark.
        adapter: The script that runs its methods, in its environment.
        methods: As the adapter knows them.
        requires: What else its environment needs.
        left_out: What of it is not run, and why.
    """

    name: str
    adapter: str
    methods: tuple[str, ...]
    requires: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


PEERS = {
    peer.name: peer
    for peer in (
        Peer("ours", "run_ours.py", ("auto", "linear:minilm+tfidf", "knn:minilm", "contrastive:minilm")),
        Peer(
            "llmrouter-lib",
            "run_llmrouter.py",
            (
                "knnrouter",
                "knnrouter tuned",
                "svmrouter",
                "svmrouter tuned",
                "mlprouter",
                "mlprouter tuned",
                "mfrouter",
                "mfrouter tuned",
                "elorouter",
                "hybrid_llm",
                "graphrouter",
                "dcrouter",
            ),
            ("torch",),
            (
                "automix: asks a small model to check itself at every route",
                "causallm_router: fine-tunes a language model from a hub",
                "gmtrouter, personalizedrouter: need a history per user",
                "router_r1: needs vLLM and a GPU",
                "tsrouter: for time series, needs another repository beside it",
                "knnmultiroundrouter, llmmultiroundrouter: ask a language model to take the question apart",
                "smallest_llm, largest_llm: one fixed model; see the references",
            ),
        ),
        Peer(
            "routellm",
            "run_routellm.py",
            ("mf", "mf tuned", "sw_ranking tuned", "bert", "causal_llm"),
            ("torch",),
        ),
        Peer("semantic-router", "run_semantic_router.py", ("indexed", "indexed tuned"), _ENCODER),
        Peer(
            "litellm",
            "run_litellm.py",
            ("complexity_router", "complexity_router heuristic_v2"),
            ("numpy",),
            ("auto_router: semantic-router underneath, in a release whose names 1.x no longer has",),
        ),
    )
}
#: Looked at and not run at all.
LEFT_OUT = ("vllm-sr 0.4.0: a command that starts containers; there is no router in the package",)


class InstallError(Exception):
    """A peer cannot be installed here; the message says why."""


@dataclass(frozen=True)
class Installed:
    """An environment that is ready: its interpreter and the version of the peer in it."""

    python: Path
    version: str


@dataclass
class Run:
    """One dataset's figures as they come."""

    data: TrainingData
    problem: Path
    found: list[Found] = field(default_factory=list)


def main() -> None:
    """Install, train, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", nargs="+", default=[], help="in interchange form; none: the bundled one is built")
    parser.add_argument("--peers", default=",".join(PEERS), help="which, separated by commas (all)")
    parser.add_argument("--methods", default="", help="only these methods of theirs, separated by commas (all)")
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "moe-peers", help="environments, data"
    )
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds a method may take (1800)")
    parser.add_argument(
        "--extra_index_url", default="", help="where pip finds a torch without CUDA, if not on its index"
    )
    parser.add_argument("--reuse", action="store_true", help="keep the answers that an earlier run left in --work")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    peers = [PEERS[name] for name in args.peers.split(",")]
    only = set(filter(None, args.methods.split(",")))
    ready: dict[str, Installed | InstallError] = {}
    for peer in peers:
        tell(f"installing {peer.name}")
        try:
            ready[peer.name] = install(peer, args.work, args.extra_index_url)
        except InstallError as problem:
            ready[peer.name] = problem
    for dataset in args.dataset or [build_default(args.work, args.seed)]:
        run = write_problem(dataset, args.work, args.seed)
        for peer in peers:
            for method in peer.methods:
                if not only or method in only:
                    tell(f"{Path(dataset).stem}: {peer.name} {method}")
                    run.found.append(ask(peer, ready[peer.name], method, run.problem, args.timeout, args.reuse))
        judged = judge(run.data, run.found, seed=args.seed)
        (run.problem / "table.json").write_text(json.dumps(judged.as_json(), indent=1), encoding="utf-8")
        print(f"\n### {Path(dataset).stem}\n\n{markdown(judged)}", flush=True)
    left_out = [f"{peer.name} {reason}" for peer in peers for reason in peer.left_out]
    print("\nNot run:\n" + "\n".join(f"- {reason}" for reason in [*left_out, *LEFT_OUT]))


def tell(step: str) -> None:
    """Say on standard error what is being done."""
    print(f"{time.strftime('%H:%M:%S')} {step}", file=sys.stderr, flush=True)


def install(peer: Peer, work: Path, extra_index: str = "") -> Installed:
    """Return the peer's environment, made and filled if it is not there yet.

    Raises:
        InstallError: pip finds no set of packages, or only one with a GPU build in it.
    """
    if peer.name == "ours":
        return Installed(Path(sys.executable), "this checkout")
    folder = work / "environments" / peer.name
    python, stamp = folder / "bin" / "python", folder / "installed.json"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        constraints = folder / "constraints.txt"
        constraints.write_text("\n".join(CONSTRAINTS), encoding="utf-8")
        command = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints)]
        command += ["--extra-index-url", extra_index] if extra_index else []
        wanted = [peer.name, *peer.requires]
        plan = folder / "plan.json"
        _pip([*command, "--dry-run", "--report", str(plan), *wanted])
        packages = planned(json.loads(plan.read_text(encoding="utf-8")))
        if gpu := gpu_packages(packages):
            raise InstallError(f"pip would install {gpu[0]}; give --extra_index_url with a torch without CUDA")
        _pip([*command, *wanted])
        stamp.write_text(json.dumps(packages), encoding="utf-8")
    return Installed(python, json.loads(stamp.read_text(encoding="utf-8"))[peer.name])


def planned(report: dict[str, Any]) -> dict[str, str]:
    """Return name -> version of what pip's installation report lists."""
    found = (item["metadata"] for item in report["install"])
    return {facts["name"].lower().replace("_", "-"): facts["version"] for facts in found}


def gpu_packages(names: Sequence[str] | dict[str, str]) -> list[str]:
    """Return those that only a GPU build needs."""
    return sorted(name for name in names if name.startswith(GPU_PACKAGES))


def _pip(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise InstallError((errors or done.stderr.strip().splitlines() or ["pip failed"])[-1][:200])


def build_default(work: Path, seed: int) -> str:
    """Return the bundled dataset, built if it is not there yet."""
    folder = work / "bundled"
    builder = ADAPTERS.parents[1] / "dataset_build" / "src" / "builder.py"
    if not (folder / "dataset.json").exists():
        tell("building the bundled dataset")
        command = [sys.executable, str(builder), "--output", str(folder), "--max_iter", "1200", "--seed", str(seed)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return str(folder)


def write_problem(dataset: str, work: Path, seed: int) -> Run:
    """Write what every method is given, see `peers/exchange.py`, and return the dataset beside it."""
    from dataset_build import MiniLM
    from mixture_training.src.encoders.cache import encode_cached
    from mixture_training.src.encoders.minilm import MiniLMEncoder

    data = load_training_data(dataset, seed=seed)
    folder = work / "problems" / Path(dataset).stem
    folder.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {
        "experts": list(data.experts),
        "prices": np.nan_to_num(known_means(data.split("train").costs)).tolist(),
        "encoder": str(MiniLM.packaged_folder()),
        "seed": seed,
        "dataset": str(Path(dataset).resolve()),
        "splits": {},
    }
    vectors: dict[str, Any] = {}
    for name in ("train", "validation", "test"):
        part = data.split(name)
        vectors[name] = encode_cached(MiniLMEncoder("fp32"), part.texts)
        told["splits"][name] = {"texts": list(part.texts)}
        if name != "test":
            cells = [[None if np.isnan(score) else float(score) for score in row] for row in part.scores]
            told["splits"][name]["scores"] = cells
    (folder / "problem.json").write_text(json.dumps(told), encoding="utf-8")
    np.savez(folder / "vectors.npz", **vectors)
    return Run(data, folder)


def ask(
    peer: Peer, ready: Installed | InstallError, method: str, problem: Path, timeout: float, reuse: bool = False
) -> Found:
    """Return what one method answered, now or with `reuse` before, or what broke."""
    if isinstance(ready, InstallError):
        return Found(peer.name, "", method, {"broke": f"not installed: {ready}"})
    output = problem / f"{peer.name} {method.replace(':', ' ')}.json"
    if reuse and output.exists():
        return Found(peer.name, ready.version, method, json.loads(output.read_text(encoding="utf-8")))
    output.unlink(missing_ok=True)
    command = [str(ready.python), str(ADAPTERS / peer.adapter), str(problem), method, str(output)]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    offline = {"HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONWARNINGS": "ignore"}
    try:
        with output.with_suffix(".log").open("w", encoding="utf-8") as log:
            subprocess.run(
                command, env=os.environ | one_thread | offline, stdout=log, stderr=log, timeout=timeout, check=False
            )
    except subprocess.TimeoutExpired:
        return Found(peer.name, ready.version, method, {"broke": f"not done in {timeout:.0f} s"})
    if not output.exists():
        return Found(peer.name, ready.version, method, {"broke": "its process died without an answer; see its log"})
    return Found(peer.name, ready.version, method, json.loads(output.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
