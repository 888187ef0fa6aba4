import asyncio
import json
from pathlib import Path

import pandas as pd
import pytest

from dataset_build import (
    ConfigError,
    DataError,
    ExpertRefusedError,
    Instruction,
    Price,
    call_expert,
    load_experts,
    parse_expert,
    write_table,
)
from dataset_build.src.experts.replay import ReplayExpert, recorded_experts

ROWS = [
    {"instruction_id": "1", "instruction": "one", "expert": "gpt", "score": 1.0, "response": "uno", "cost": 0.25,
     "prompt_tokens": 3, "completion_tokens": 1, "latency_s": 1.5, "model": "gpt-0613"},
    {"instruction_id": "2", "instruction": "two", "expert": "gpt", "score": None, "error": "rate_limit: slow down"},
    {"instruction_id": "3", "instruction": "three", "expert": "gpt", "score": 0.0, "error": None, "response": ""},
    {"instruction_id": "4", "instruction": "four", "expert": "gpt", "score": 0.5},
    {"instruction_id": "5", "instruction": "twice", "expert": "gpt", "score": 0.5, "response": "a"},
    {"instruction_id": "6", "instruction": "twice", "expert": "gpt", "score": 0.5, "response": "b"},
    {"instruction_id": "7", "instruction": "odd", "expert": "gpt", "score": None, "error": "broken"},
    {"instruction_id": "1", "instruction": "one", "expert": "llama", "score": 1.0, "response": "eins"},
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_table(pd.DataFrame(ROWS), tmp_path / "recorded.parquet")
    return tmp_path / "recorded.parquet"


def ask(expert: ReplayExpert, id: str, text: str = "?") -> object:
    return asyncio.run(expert.answer(Instruction(id, text)))


def test_an_answer_comes_back_as_recorded(path: Path):
    answer = ask(ReplayExpert("gpt", path), "1")
    assert (answer.text, answer.cost, answer.latency_s, answer.model) == ("uno", 0.25, 1.5, "gpt-0613")
    assert (answer.prompt_tokens, answer.completion_tokens) == (3, 1)


def test_an_empty_recorded_response_is_an_answer(path: Path):
    assert ask(ReplayExpert("gpt", path), "3").text == ""


def test_the_expert_may_have_another_name_here(path: Path):
    assert ask(ReplayExpert("mine", path, expert="llama"), "1").text == "eins"


def test_an_unknown_id_is_looked_up_by_its_text_unless_the_text_is_ambiguous(path: Path):
    expert = ReplayExpert("gpt", path)
    assert ask(expert, "new", "one").text == "uno"
    with pytest.raises(ExpertRefusedError) as caught:
        ask(expert, "new", "twice")
    assert caught.value.kind == "not_recorded"


@pytest.mark.parametrize(
    ("id", "field"),
    [
        ("2", "rate_limit: slow down"),
        ("4", "no_text: the record has no response text"),
        ("7", "refused: broken"),
        ("8", "not_recorded: {path} has no response to this"),
    ],
)
def test_what_has_no_answer_is_an_error_and_never_tried_again(id: str, field: str, path: Path):
    response = asyncio.run(call_expert(ReplayExpert("gpt", path), Instruction(id, "?"), timeout_s=5, retries=3))
    assert response.error == field.format(path=path)
    assert response.text is None
    assert response.cost is None


def test_a_recorded_call_without_cost_is_priced_from_its_tokens(tmp_path: Path):
    row = {**ROWS[0], "cost": None}
    write_table(pd.DataFrame([row]), tmp_path / "r.csv")
    expert = ReplayExpert("gpt", tmp_path / "r.csv", price=Price(prompt_per_million=1e6))
    response = asyncio.run(call_expert(expert, Instruction("1", "one"), timeout_s=5, retries=0))
    assert response.cost == 3.0


def test_the_fingerprint_changes_with_the_file(path: Path):
    before = ReplayExpert("gpt", path).fingerprint()
    assert ReplayExpert("gpt", path).fingerprint() == before
    write_table(pd.DataFrame(ROWS[:3]), path)
    assert ReplayExpert("gpt", path).fingerprint() != before


def test_a_built_folder_states_prices_and_descriptions(path: Path, tmp_path: Path):
    folder = tmp_path / "built"
    write_table(pd.DataFrame(ROWS), folder / "data" / "train.parquet")
    facts = {"name": "gpt", "description": "Big.", "price": {"per_call": 0.5}}
    (folder / "dataset.json").write_text(json.dumps({"format_version": 1, "experts": [facts]}))
    assert recorded_experts(folder)["gpt"] == facts
    gpt, llama = load_experts(parse_expert(f"replay:{folder}"))
    assert (gpt.description, gpt.price.per_call) == ("Big.", 0.5)
    assert (llama.description, llama.price) == ("", Price())


def test_an_absent_file_or_expert_or_text_is_refused(path: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="No such file of recorded responses"):
        ReplayExpert("gpt", tmp_path / "absent.parquet")
    with pytest.raises(ConfigError, match="Did you mean 'gpt'"):
        ReplayExpert("gptt", path)
    write_table(pd.DataFrame(ROWS)[["instruction_id", "instruction", "expert", "score"]], tmp_path / "scores.parquet")
    with pytest.raises(DataError, match="nothing to replay"):
        ReplayExpert("gpt", tmp_path / "scores.parquet")
