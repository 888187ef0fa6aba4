"""Fixtures that tests of both stages share."""

from pathlib import Path

import pytest

from tests.tiny_models import make_tiny_bert, make_tiny_llama, make_tiny_t5


@pytest.fixture(scope="session")
def tiny_llama_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal model that knows `tests.tiny_models.PAIRS` by heart, with a chat template."""
    return make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny_t5_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder-decoder model that knows the same."""
    return make_tiny_t5(tmp_path_factory.mktemp("models") / "tiny-t5")


@pytest.fixture(scope="session")
def tiny_bert_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained encoder."""
    return make_tiny_bert(tmp_path_factory.mktemp("models") / "tiny-bert")
