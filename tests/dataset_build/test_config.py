"""Flags beat the file, the file beats the defaults, and a wrong key is named with the nearest."""

from pathlib import Path

import pytest

from dataset_build import BuildConfig, ConfigError, resolve


def test_flags_beat_the_file_and_the_file_beats_the_defaults(tmp_path: Path):
    (tmp_path / "build.yaml").write_text("batch_size: 7\nseed: 3\n")
    config = resolve(BuildConfig, tmp_path / "build.yaml", {"seed": 5, "max_iter": None})
    assert (config.batch_size, config.seed, config.max_iter) == (7, 5, 50_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("batch_sise: 7", "unknown key 'batch_sise'. Did you mean 'batch_size'", id="misspelt"),
        pytest.param("batch_size: 0", "batch_size is 0", id="out-of-range"),
        pytest.param("experts: []", "experts", id="no-experts"),
        pytest.param(
            "experts: [{provider: echo, price: {prompt_per_milion: 1}}]",
            "Did you mean 'prompt_per_million'",
            id="nested",
        ),
        pytest.param("- a\n- b", "holds a list", id="no-mapping"),
        pytest.param("a: [", "not valid YAML", id="no-yaml"),
    ],
)
def test_a_wrong_file_is_one_clear_line(text: str, message: str, tmp_path: Path):
    (tmp_path / "build.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        resolve(BuildConfig, tmp_path / "build.yaml", {})


def test_a_missing_file_is_said(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such configuration file"):
        resolve(BuildConfig, tmp_path / "absent.yaml", {})


def test_an_empty_file_means_the_defaults(tmp_path: Path):
    (tmp_path / "build.yaml").write_text("")
    assert resolve(BuildConfig, tmp_path / "build.yaml", {}) == BuildConfig()
