"""README and guides do not drift: the tree is the code's own first lines, commands parse, YAML is a valid build."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from dataset_build import BuildConfig, build_main
from dataset_build.src.builder import build_parser as parser_of_build
from dataset_build.src.config import validate
from mixture_training.src.cli import COMMANDS, parser_of
from mixture_training.src.training import build_parser as parser_of_train

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = [
    README,
    *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "LOG.md"),
]
MODULES = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
#: Folders whose files are told by one line.
FAMILIES = {
    "experts/tools": "the embedded pool, one tool a file",
    "sources/bundled": "the instructions the project wrote, one category a file",
}


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def tree() -> str:
    """Return the tree as the README prints it."""
    lines = []
    for package in ("dataset_build", "mixture_training"):
        lines.append(f"{package}/src/")
        source = ROOT / package / "src"
        for path in sorted(source.rglob("*.py"), key=lambda p: (len(p.relative_to(source).parts) > 1, p)):
            name = path.relative_to(source).as_posix()
            if path.name == "__init__.py" or any(name.startswith(family) for family in FAMILIES):
                continue
            lines.append(f"  {name:<34} {first_line(path)}")
        lines += [f"  {family + '/':<34} {what}" for family, what in FAMILIES.items() if (source / family).is_dir()]
    return "\n".join(lines)


def blocks(language: str) -> list[str]:
    return [block for guide in GUIDES for block in re.findall(rf"```{language}\n(.*?)```", guide, flags=re.DOTALL)]


def test_the_tree_is_the_code_s_own_first_lines():
    assert tree() in MODULES, f"Put this into docs/modules.md:\n{tree()}"


COMMAND_LINES = [
    line
    for block in blocks("bash")
    for line in block.splitlines()
    if line.startswith(("moe ", "python dataset_build", "python mixture_training"))
]


def test_the_readme_shows_commands():
    assert len(COMMAND_LINES) >= 6


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_command_of_the_readme_parses(line: str):
    words = shlex.split(line, comments=True)
    programs = {"build": parser_of_build, "builder.py": parser_of_build}
    programs |= {"train": parser_of_train, "training.py": parser_of_train}
    name = words[1].rpartition("/")[2]
    assert name in programs or name in COMMANDS
    parser = programs[name]() if name in programs else parser_of(name)
    parser.parse_args(words[2:])


def test_the_yaml_of_the_readme_is_a_valid_build():
    for block in blocks("yaml"):
        assert validate(BuildConfig, yaml.safe_load(block), where="a guide").experts


def test_the_front_door_builds_with_the_same_parser():
    with pytest.raises(SystemExit) as stop:
        build_main(["--help"])
    assert stop.value.code == 0


def test_every_link_between_the_guides_leads_somewhere():
    for folder, paths in ((ROOT, [ROOT / "README.md"]), (ROOT / "docs", sorted((ROOT / "docs").glob("*.md")))):
        for path in paths:
            for link in re.findall(r"\]\((?!http|#)([^)#]+)", path.read_text(encoding="utf-8")):
                assert (folder / link).exists(), f"{path.name} links to {link}"


def test_nothing_is_left_to_be_filled_in():
    assert not [found for guide in GUIDES for found in re.findall(r"\b[A-Z]+_SECTION\b|TODO|TBD", guide)]
