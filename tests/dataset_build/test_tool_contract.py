"""What every tool of the embedded pool keeps to; a new one is tested by being registered."""

import pytest

from dataset_build import CANNOT_ANSWER, Instruction, load_expert, tools
from dataset_build.src.config import ExpertConfig

ABSURD = {
    "empty": "",
    "space": " " * 10_000,
    "null bytes": "\x00" * 1_000,
    "one giant word": "a" * 100_000,
    "digits": "9" * 100_000,
    "powers": "What is 9**9**9**9?",
    "brackets": "(" * 5_000 + "1" + ")" * 5_000,
    "quotes": "'\"`«“" * 2_000,
    "lone surrogates": "\ud800 capital of \udfff sentiment language lemma spelling?",
    "right to left": "\u202e" * 500 + "what is 3 km in miles?",
    "all cues at once": "Convert, spell, lemma, sentiment, language, capital, date, holiday, SQL, black, molar mass? "
    * 200,
    "another script": "日本語の文章です。これは何語ですか。" * 200,
}


@pytest.mark.parametrize("name", list(tools))
@pytest.mark.parametrize("text", ABSURD.values(), ids=ABSURD)
def test_absurd_input_is_answered_or_declined_and_never_a_crash(tool, name: str, text: str):
    answer = tool(name).answer_now(Instruction.create(text))
    assert isinstance(answer.text, str)
    assert answer.cost > 0


@pytest.mark.parametrize("name", list(tools))
def test_the_same_instruction_gets_the_same_answer(tool, name: str):
    text = "Convert 3 km to miles: which language is 'Guten Morgen', and what is 2 + 2?"
    first = tool(name).answer_now(Instruction.create(text))
    assert tool(name).answer_now(Instruction.create(text)).text == first.text


@pytest.mark.parametrize("name", list(tools))
def test_a_tool_has_a_name_a_description_and_a_price_per_core_hour(tool, name: str):
    made = tool(name)
    assert made.name == made.tool_name == name
    assert 20 < len(made.description) < 120
    assert made.price.per_core_hour > 0
    assert name in made.fingerprint()


def test_a_tool_may_be_given_another_name_and_price():
    config = ExpertConfig(provider="calculator", name="sums", price={"per_core_hour": 1.0})
    made = load_expert(config)
    assert (made.name, made.price.per_core_hour) == ("sums", 1.0)


def test_small_talk_is_declined_by_all_but_the_summariser(tool):
    text = "Do you like my new hat?"
    answers = {name: tool(name).answer_now(Instruction.create(text)).text for name in tools}
    assert {name for name, answer in answers.items() if not answer.startswith(CANNOT_ANSWER)} <= {"lead_summary"}
