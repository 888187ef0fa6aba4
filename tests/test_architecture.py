"""The shape of the code base: who may import whom, what a start-up may cost, what a module may be called."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dataset_build", "mixture_training")
HEAVY = {
    "datasets", "fastapi", "matplotlib", "onnxruntime", "pandas", "pyarrow", "scipy", "sentence_transformers",
    "sklearn", "sympy", "torch", "transformers", "xgboost",
}  # fmt: skip
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imported_modules(name: str) -> set[str]:
    """Return the project modules that `name` imports at run time, inside functions too."""
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    for_typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in for_typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return {module for module in found if module in FILES and module != name}


def test_no_import_cycles():
    TopologicalSorter({name: imported_modules(name) for name in FILES}).prepare()


def test_the_dataset_stage_does_not_know_the_training_stage():
    guilty = [
        name
        for name in FILES
        if name.startswith("dataset_build") and any(m.startswith("mixture_training") for m in imported_modules(name))
    ]
    assert not guilty


def test_stages_meet_only_at_the_front_door():
    """mixture_training imports `dataset_build`, not `dataset_build.src.something`."""
    guilty = [
        name
        for name in FILES
        if name.startswith("mixture_training") and any(m.startswith("dataset_build.") for m in imported_modules(name))
    ]
    assert not guilty


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(("src", *PACKAGES))])
def test_module_name_shadows_nothing(name: str):
    """A script run as a file puts its own folder first on sys.path, so its siblings must not be called `queue`."""
    assert name.rpartition(".")[2] not in sys.stdlib_module_names | HEAVY | {"evaluate", "openai", "tokenizers"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_resolves_and_the_list_is_sorted(package: str):
    code = f"import {package} as p; assert p.__all__ == sorted(p.__all__); [getattr(p, name) for name in p.__all__]"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_stays_light(package: str):
    assert not loaded_by(["-c", f"import {package}"], ROOT) & HEAVY


@pytest.mark.parametrize("entry", ["dataset_build/src/builder.py", "mixture_training/src/training.py"])
def test_help_runs_as_a_file_and_stays_light(entry: str, tmp_path: Path):
    assert not loaded_by([str(ROOT / entry), "--help"], tmp_path) & HEAVY


def test_the_command_help_stays_light():
    assert not loaded_by(["-c", "from mixture_training.src.cli import main; main(['--help'])"], ROOT) & HEAVY


def test_no_module_loads_or_evaluates_what_it_should_not():
    """No pickle in any spelling, no evaluation of text as code, no remote code."""
    forbidden = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    guilty = []
    for name, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import) and forbidden & {alias.name.partition(".")[0] for alias in node.names}:
                guilty.append((name, node.lineno))
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in forbidden:
                guilty.append((name, node.lineno))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
                guilty.append((name, node.lineno))
            if isinstance(node, ast.Call):
                for keyword in node.keywords:
                    value = keyword.value
                    switched_on = isinstance(value, ast.Constant) and value.value is True
                    if keyword.arg in {"allow_pickle", "trust_remote_code"} and switched_on:
                        guilty.append((name, node.lineno))
    assert not guilty


def loaded_by(arguments: list[str], folder: Path) -> set[str]:
    """Return the top-level and full names of the modules that `python ARGUMENTS` imports."""
    run = subprocess.run([sys.executable, "-X", "importtime", *arguments], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
