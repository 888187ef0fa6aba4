from pathlib import Path

import pandas as pd
import pytest

from dataset_build import (
    ConfigError,
    EchoExpert,
    ExpertConfig,
    load_expert,
    load_experts,
    parse_expert,
    tools,
    write_table,
)
from dataset_build.src.model_loader import expert_configs


def config(**values: object) -> ExpertConfig:
    return ExpertConfig.model_validate(values)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    rows = [
        {"instruction_id": "1", "instruction": "q", "expert": expert, "score": 1.0, "response": expert}
        for expert in ("gpt", "llama")
    ]
    write_table(pd.DataFrame(rows), tmp_path / "recorded.parquet")
    return tmp_path / "recorded.parquet"


def test_a_provider_gets_its_name_price_and_description():
    values = {"provider": "echo", "name": "parrot", "price": {"per_call": 0.5}, "description": "Repeats."}
    expert = load_expert(config(**values))
    assert isinstance(expert, EchoExpert)
    assert (expert.name, expert.price.per_call, expert.description) == ("parrot", 0.5, "Repeats.")
    assert load_expert(config(provider="echo")).name == "echo"


def test_embedded_is_every_tool_and_a_tools_name_is_that_tool():
    names = list(tools)
    assert [one.provider for one in expert_configs([config(provider="embedded")])] == names
    for name in names[:2]:
        assert load_expert(config(provider=name)).name == name
        assert load_expert(config(provider=name, name="mine")).name == "mine"
    with pytest.raises(ConfigError, match="stands for several"):
        load_expert(config(provider="embedded"))
    with pytest.raises(ConfigError, match="takes no name"):
        load_experts([config(provider="embedded", name="all")])


def test_replay_without_a_name_is_every_recorded_expert(recorded: Path):
    experts = load_experts(parse_expert(f"replay:{recorded}"))
    assert [expert.name for expert in experts] == ["gpt", "llama"]
    (one,) = load_experts([config(provider="replay", name="mine", path=str(recorded), expert="llama")])
    assert one.name == "mine"
    (one,) = load_experts([config(provider="replay", path=str(recorded), expert="llama")])
    assert one.name == "llama"


def test_configurations_come_back_one_per_expert_and_load_the_same_experts(recorded: Path):
    configs = expert_configs([*parse_expert(f"replay:{recorded}"), config(provider="echo")])
    dumped = [one.model_dump(mode="json", exclude_none=True) for one in configs]
    again = load_experts([ExpertConfig.model_validate(one) for one in dumped])
    assert [expert.name for expert in again] == ["gpt", "llama", "echo"]
    assert expert_configs(configs) == configs


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"provider": "ecko"}, "Did you mean 'echo'"),
        ({"provider": "embeded"}, "Did you mean 'embedded'"),
        ({"provider": "openai_compatible", "base_url": "http://x/v1"}, "option 'model' is missing"),
        ({"provider": "openai_compatible", "base_url": "http://x/v1", "model": "m", "temprature": 0}, "'temperature'"),
        ({"provider": "openai_compatible", "base_url": "http://x/v1", "model": "m", "temperature": "hot"}, "valid num"),
        ({"provider": "replay"}, "option 'path' is missing"),
        ({"provider": "replay", "path": "absent.parquet"}, "absent.parquet"),
        ({"provider": "echo", "price": {"per_call": 1}, "loud": True}, "unknown option 'loud'"),
    ],
)
def test_a_bad_configuration_is_one_line(values: dict[str, object], said: str):
    with pytest.raises(ConfigError) as caught:
        load_experts([config(**values)])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_given_by_mistake_is_not_repeated():
    values = {"provider": "openai_compatible", "base_url": "http://x/v1", "model": "m", "api_key": "sk-secret"}
    with pytest.raises(ConfigError, match="Did you mean 'api_key_env'") as caught:
        load_expert(config(**values))
    assert "sk-secret" not in str(caught.value)


def test_an_expert_that_the_file_does_not_hold_names_the_nearest(recorded: Path):
    for values in ({"expert": "lama"}, {"name": "lama"}):
        with pytest.raises(ConfigError, match="Did you mean 'llama'"):
            load_experts([config(provider="replay", path=str(recorded), **values)])


def test_two_experts_may_not_share_a_name():
    with pytest.raises(ConfigError, match="Two experts are called 'echo'"):
        load_experts([config(provider="echo"), config(provider="echo")])


def test_a_yaml_file_holds_a_list_alone_or_under_experts(tmp_path: Path):
    entries = "- echo\n- provider: echo\n  name: second\n"
    (tmp_path / "list.yaml").write_text(entries)
    (tmp_path / "key.yml").write_text("experts:\n" + entries)
    for name in ("list.yaml", "key.yml"):
        assert [expert.name for expert in load_experts(parse_expert(str(tmp_path / name)))] == ["echo", "second"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file of experts"),
        (b"a: [", "not valid YAML"),
        (b"\xff", "Cannot read"),
        (b"experts: 3", "expected a list"),
        (b"[]", "expected a list"),
        (b"- 3", "expert 1: expected a name"),
        (b"- other.yaml", "expert 1: expected a name"),
        (b"- {provider: echo, price: {per_cal: 1}}", "Did you mean 'per_call'"),
    ],
)
def test_a_bad_yaml_file_is_one_line(content: bytes | None, said: str, tmp_path: Path):
    if content is not None:
        (tmp_path / "experts.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        parse_expert(str(tmp_path / "experts.yaml"))
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["echo:loud", "replay:", "openai_compatible:gpt"])
def test_a_shorthand_that_says_too_little_shows_the_forms(text: str):
    with pytest.raises(ConfigError, match="replay:PATH"):
        parse_expert(text)


def test_a_shorthand_in_a_list_of_names_is_expanded(recorded: Path):
    assert [one.name for one in expert_configs([config(provider=f"replay:{recorded}")])] == ["gpt", "llama"]


def test_a_secret_deep_in_the_options_is_refused_and_not_repeated():
    values = {"provider": "openai_compatible", "base_url": "http://127.0.0.1/v1", "model": "m"}
    with pytest.raises(ConfigError) as caught:
        load_expert(config(**values, extra_body={"auth": [{"api_key": "sk-hidden"}]}))
    assert "api_key_env" in str(caught.value)
    assert "sk-hidden" not in str(caught.value)


def test_a_tools_options_are_part_of_what_decides_its_answers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(tools._home, "shout", "sample_experts:Shout")
    monkeypatch.syspath_prepend(Path(__file__).parent)
    plain, marked = (load_expert(config(provider="shout", **options)) for options in ({}, {"mark": "?"}))
    assert plain.fingerprint() == "tool:shout:1"
    assert marked.fingerprint() != plain.fingerprint()
