"""Tools that have loaded what they need, made once for all tests."""

from collections.abc import Callable

import pytest

from dataset_build import ToolExpert, tools


@pytest.fixture(scope="session")
def tool() -> Callable[[str], ToolExpert]:
    """Return a function from a tool's name to the tool, warmed up."""
    made: dict[str, ToolExpert] = {}

    def get(name: str) -> ToolExpert:
        if name not in made:
            made[name] = tools[name]()
            made[name].warm_up()
        return made[name]

    return get
