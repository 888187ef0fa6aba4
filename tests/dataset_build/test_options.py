from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dataset_build import ConfigError, Price
from dataset_build.src.options import check_options

if TYPE_CHECKING:
    from decimal import Decimal


class Client:
    pass


class Thing:
    def __init__(
        self,
        name: str,
        path: str | Path,
        count: int = 1,
        columns: Mapping[str, str] | None = None,
        *,
        price: Price | None = None,
        client: Client | None = None,
    ) -> None: ...


class Anything:
    def __init__(self, name: str, **options: object) -> None: ...


class Unresolvable:
    def __init__(self, amount: "Decimal") -> None: ...


def test_values_become_the_types_of_the_signature():
    price, client = Price(1.0), Client()
    given = {"name": "a", "path": "p", "count": "3", "columns": {"x": "y"}, "price": price, "client": client}
    assert check_options(Thing, given, where="Thing") == {**given, "count": 3}
    assert check_options(Thing, given, where="Thing")["client"] is client


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "a", "path": "p", "cuont": 1}, "Thing: unknown option 'cuont'. Did you mean 'count'?"),
        ({"name": "a"}, "Thing: option 'path' is missing."),
        ({"name": "a", "path": "p", "count": "many"}, "Thing: count is 'many'"),
        ({"name": "a", "path": "p", "columns": ["x"]}, "Thing: columns is ['x']"),
        ({"name": "a", "path": "p", "client": "x"}, "Thing: client is 'x'"),
    ],
)
def test_what_does_not_fit_the_signature_is_one_line(options: dict[str, object], said: str):
    with pytest.raises(ConfigError) as caught:
        check_options(Thing, options, where="Thing")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_constructor_that_takes_anything_gets_it():
    given = {"name": "a", "colour": "red"}
    assert check_options(Anything, given, where="x") == given


def test_annotations_that_only_a_type_checker_resolves_are_not_checked():
    assert check_options(Unresolvable, {"amount": "1.5"}, where="x") == {"amount": "1.5"}
