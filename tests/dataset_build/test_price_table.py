import socket
import sys
from typing import Any

import pytest

from dataset_build import ConfigError, MissingDependencyError, Price
from dataset_build.src.config import ExpertConfig
from dataset_build.src.model_loader import load_expert
from dataset_build.src.price_table import look_up

OPENAI = "https://api.openai.com/v1"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("The table of prices is never fetched.")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("genai_prices", "genai_prices.data_snapshot"):
        monkeypatch.setitem(sys.modules, name, None)


def known(model: str, url: str | None = None) -> Price:
    price = look_up(model, url)
    assert price is not None
    return price


def test_the_packages_table_has_the_prices_of_a_model_at_its_provider():
    pytest.importorskip("genai_prices")
    price = known("gpt-4o-mini", OPENAI)
    assert price.cached_per_million is not None
    assert 0 < price.cached_per_million < price.prompt_per_million < price.completion_per_million
    assert known("gpt-4o", OPENAI).prompt_per_million > price.prompt_per_million


def test_without_an_address_the_name_says_the_provider():
    pytest.importorskip("genai_prices")
    assert known("openai/gpt-4o-mini") == known("gpt-4o-mini") == known("gpt-4o-mini", OPENAI)


@pytest.mark.parametrize(
    ("model", "url"),
    [
        ("no-such-model", OPENAI),
        ("gpt-4o-mini-of-my-own", OPENAI),
        ("ft:gpt-4o-mini:org::id", OPENAI),
        ("gpt-4o-mini", "http://127.0.0.1:8000/v1"),
        ("gpt-4o-mini", "https://gateway.example/api.openai.com/v1"),
        ("openrouter/auto", "https://openrouter.ai/api/v1"),
        ("no-such-model", None),
        ("no-such-provider/no-such-model", None),
        ("", None),
    ],
)
def test_what_the_table_does_not_know_has_no_price(model: str, url: str | None):
    pytest.importorskip("genai_prices")
    assert look_up(model, url) is None


def test_every_price_of_the_table_can_be_used():
    snapshot = pytest.importorskip("genai_prices.data_snapshot").get_snapshot()
    found = 0
    for provider in snapshot.providers:
        for model in provider.models:
            price = look_up(f"{provider.id}/{model.id}")
            if price is not None:
                found += 1
                assert price.of_tokens(1000, 1000, 500) >= 0
    assert found > 1000


def test_of_prices_that_change_with_the_time_of_day_the_dearest_counts(monkeypatch: pytest.MonkeyPatch):
    data_snapshot = pytest.importorskip("genai_prices.data_snapshot")

    class Listed:
        input_mtok: Any = 1
        output_reasoning_mtok = cache_read_mtok = requests_kcount = None

        def __init__(self, output: float) -> None:
            self.output_mtok = output

    class Model:
        @staticmethod
        def get_prices(at: Any) -> Listed:
            return Listed(9 if at.hour == 3 else 2)

    class Snapshot:
        @staticmethod
        def find_provider_model(*_: object) -> tuple[None, type[Model]]:
            return None, Model

    monkeypatch.setattr(data_snapshot, "get_snapshot", Snapshot)
    assert look_up("m", OPENAI) == Price(1.0, 9.0)


@pytest.mark.usefixtures("without_package")
def test_the_users_own_table_comes_first_and_needs_no_package():
    own = {"gpt-4o-mini": Price(7.0, 8.0)}
    assert look_up("gpt-4o-mini", OPENAI, own) == Price(7.0, 8.0)
    assert look_up("openai/gpt-4o-mini", None, own) == Price(7.0, 8.0)
    with pytest.raises(MissingDependencyError, match=r'pip install "moe-toolkit\[prices\]"'):
        look_up("gpt-4o", OPENAI, own)


def test_an_expert_whose_price_is_auto_gets_it_or_says_what_to_do():
    pytest.importorskip("genai_prices")
    values = {"provider": "openai_compatible", "base_url": OPENAI, "price": "auto"}
    expert = load_expert(ExpertConfig.model_validate({**values, "model": "gpt-4o-mini"}))
    assert expert.price == known("gpt-4o-mini", OPENAI)
    with pytest.raises(ConfigError, match="prices:"):
        load_expert(ExpertConfig.model_validate({**values, "model": "of-my-own"}))
