"""Flags beat the file, the file beats the defaults, and a wrong key is named with the nearest."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from dataset_build import BuildConfig, ConfigError, resolve


class Needy(BaseModel):
    """A configuration with something that has to be given."""

    model_config = ConfigDict(extra="forbid")

    router: str
    port: int = 8080


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


def test_what_a_file_leaves_out_may_be_given_and_a_typo_in_it_is_named(tmp_path: Path):
    (tmp_path / "serve.yaml").write_text("port: 8081")
    assert resolve(Needy, tmp_path / "serve.yaml", {"router": "r"}) == Needy(router="r", port=8081)
    (tmp_path / "serve.yaml").write_text("prot: 8081")
    with pytest.raises(ConfigError, match=r"serve\.yaml.*prot"):
        resolve(Needy, tmp_path / "serve.yaml", {"router": "r"})


def test_a_missing_file_is_said(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such configuration file"):
        resolve(BuildConfig, tmp_path / "absent.yaml", {})


def test_an_empty_file_means_the_defaults(tmp_path: Path):
    (tmp_path / "build.yaml").write_text("")
    assert resolve(BuildConfig, tmp_path / "build.yaml", {}) == BuildConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timeout_s: 1.0e+12", "timeout_s is"),
        ("timeout_s: .inf", "timeout_s is"),
        ("experts: [{provider: echo, price: {per_call: .inf}}]", "per_call is inf"),
        ('experts: [{provider: echo, name: "a\\nb"}]', "printable"),
        ('experts: [{provider: echo, name: " "}]', "printable"),
        (f"experts: [{{provider: echo, name: {'x' * 201}}}]", "printable"),
        ("seed: 1\nseed: 2", "line 2 is not valid YAML: the key 'seed' comes twice"),
        ("experts:\n- provider: echo\n  name: a\n  name: b", "line 4 is not valid YAML: the key 'name' comes twice"),
        ("? [a, b]\n: c", "is not valid YAML"),
        ("seed: 2024-99-99", "is not valid YAML"),
    ],
)
def test_values_that_would_only_fail_later_are_refused(text: str, message: str, tmp_path: Path):
    (tmp_path / "build.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve(BuildConfig, tmp_path / "build.yaml", {})
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_that_is_no_yaml_is_never_quoted_since_it_may_hold_a_key(tmp_path: Path):
    (tmp_path / "build.yaml").write_text('seed: 1\napi_key: "sk-hidden\n')
    with pytest.raises(ConfigError) as caught:
        resolve(BuildConfig, tmp_path / "build.yaml", {})
    assert "line 3" in str(caught.value)
    assert "sk-hidden" not in str(caught.value)


def test_a_name_alone_stands_for_a_source_or_an_expert(tmp_path: Path):
    (tmp_path / "build.yaml").write_text("sources: [bundled, q.csv]\nexperts: [embedded, echo]")
    config = resolve(BuildConfig, tmp_path / "build.yaml", {})
    assert [source.source for source in config.sources] == ["bundled", "q.csv"]
    assert [expert.provider for expert in config.experts] == ["embedded", "echo"]
