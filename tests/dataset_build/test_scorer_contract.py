"""What every metric keeps to; a new one is tested by being registered, and by an example of its form below."""

import json
import random

import pytest
from hypothesis import example as such_as
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import CANNOT_ANSWER, Instruction
from dataset_build.src.scorers import scorers

PROSE = "The cat sat on the mat, and then it slept for 3 hours."
CONSTRAINTS = [{"id": "punctuation:no_comma"}, {"id": "keywords:existence", "keywords": ["cat"]}]
#: Metric -> an answer that is as good as can be, with the reference and the extra fields that make it so.
RIGHT: dict[str, tuple[str, str | None, dict[str, object]]] = {
    "code_text": ("SELECT a FROM t", "SELECT a FROM t", {}),
    "instruction_following": ("The cat sat.", None, {"constraints": CONSTRAINTS}),
    "json_schema": ('{"a": 1}', None, {"schema": {"type": "object", "required": ["a"]}}),
    "json_valid": ('{"a": 1}', None, {}),
    "label": ("positive", "positive", {}),
    "list_f1": ("red, yellow, blue", "red, yellow, blue", {}),
    "math": ("x^2 + 1", "x^2 + 1", {}),
    "multiple_choice": ("C", "C", {}),
    "number": ("12.5", "12.5", {}),
    "python_literal": ("[1, 'a']", "[1, 'a']", {}),
    "regex": ("abc", "abc", {}),
    "set_f1": ("- red\n- blue", "- red\n- blue", {}),
    **{
        name: (PROSE, PROSE, {})
        for name in (
            "bleu", "chrf", "embedding_similarity", "exact_match", "meteor", "rouge1", "rouge2", "rouge_l",
            "text_overlap", "token_f1",
        )
    },
}  # fmt: skip
#: These score nothing before they have been given a judge, or leave to run programs.
UNREADY = {"code_tests", "judge"}
#: Metrics for which any text that is not blank is a reference, and equals itself.
ANY_TEXT = ("bleu", "chrf", "exact_match", "meteor", "rouge1", "rouge2", "rouge_l", "text_overlap", "token_f1")
HOSTILE = {
    "digits": "9" * 1_000_000,
    "powers": "9**9**9**9",
    "nested": "[" * 100_000 + "]" * 100_000,
    "objects": '{"a":' * 50_000,
    "brackets": "(" * 50_000 + ")" * 50_000,
    "null bytes": "\x00" * 100_000,
    "lone surrogates": "\ud800 the answer is \udfff",
    "right to left": "\u202e" * 50_000 + "the answer is 3",
    "one word": "a" * 99_999,
    "many words": "a " * 49_999,
    "many numbers": "1,234.5 " * 12_000,
    "regex bait": "a" * 50_000 + "!",
    "equals": "=" * 50_000,
    "announcements": "the answer is " * 7_000,
    "bullets": "- a\n" * 25_000,
    "fences": "```\n" * 25_000,
    "asterisks": "*" * 90_000,
    "boxes": "\\boxed{" * 14_000,
    "combining": "e" + "\u0301" * 90_000,
    "thoughts": "<think>" * 14_000,
    "another script": "日本語の文章です。" * 10_000,
}


@pytest.fixture(scope="module")
def made():
    return {name: scorers[name]() for name in scorers}


def scored(scorer, text, reference, **extra):
    return scorer.score(Instruction.create("Q? A) x B) y C) z", reference=reference, extra=extra), text)


def example(name):
    if name in UNREADY:
        pytest.skip("it has to be set up first")
    return RIGHT[name]


@pytest.mark.parametrize("name", list(scorers))
def test_a_scorer_says_what_it_is(made, name):
    assert made[name].metric == name
    assert made[name].version
    assert made[name].__doc__


@pytest.mark.parametrize("name", list(scorers))
def test_every_metric_has_an_example_of_a_right_answer_which_scores_one(made, name):
    text, reference, extra = example(name)
    assert scored(made[name], text, reference, **extra).value == pytest.approx(1.0)
    assert scored(made[name], f"<think>Hm, 7? No.</think>\n{text}", reference, **extra).value == pytest.approx(1.0)


@pytest.mark.parametrize("name", list(scorers))
def test_scoring_again_changes_nothing(made, name):
    text, reference, extra = example(name)
    for answer in (text, "the mat cat 12 red C", ""):
        first = scored(made[name], answer, reference, **extra)
        assert scored(made[name], answer, reference, **extra) == first
        assert scored(scorers[name](), answer, reference, **extra) == first


@pytest.mark.parametrize("name", list(scorers))
@pytest.mark.parametrize("text", ["", " \n", "\x00", "<think>never ends"])
def test_no_answer_is_worth_nothing(made, name, text):
    _, reference, extra = example(name)
    score = scored(made[name], text, reference, **extra)
    assert score.value == 0.0 or score.reason


@pytest.mark.parametrize("name", list(scorers))
def test_an_answer_that_declines_scores_zero(made, name):
    _, reference, extra = example(name)
    assert scored(made[name], f"{CANNOT_ANSWER} {reference}", reference, **extra).value == 0.0


@pytest.mark.parametrize("name", list(scorers))
def test_without_a_needed_reference_there_is_no_score_but_a_reason(made, name):
    if made[name].needs_reference:
        assert scored(made[name], "anything", None).reason == "no reference"


@pytest.mark.parametrize("name", list(scorers))
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers_end_in_a_score_or_a_reason(made, name, text):
    reference, extra = RIGHT[name][1:] if name in RIGHT else ("x", {})
    score = scored(made[name], text, reference, **extra)
    assert score.reason or 0.0 <= score.value <= 1.0


@pytest.mark.parametrize("name", [name for name in RIGHT if name != "embedding_similarity"])
def test_hostile_references_end_in_a_score_or_a_reason(made, name):
    for text in HOSTILE.values():
        score = scored(made[name], "the answer is 3", text[:100_000], schema=text[:10_000], constraints=text[:10_000])
        assert score.reason or 0.0 <= score.value <= 1.0


@pytest.mark.parametrize("name", list(scorers))
def test_an_enormous_answer_ends_in_a_score_or_a_reason(made, name):
    reference, extra = RIGHT[name][1:] if name in RIGHT else ("x", {})
    score = scored(made[name], "9" * 20_000_000, reference, **extra)
    assert score.reason or score.value == 0.0


def awkward(seed):
    """Return a text made of pieces that formats and tokenizers trip over."""
    rng = random.Random(seed)
    pieces = [
        "a", "The ", "1,5", "\n- ", "**", "```", "猫", "é", "{", "}", '"', "[", "]", "\\boxed{", " = ", "%", "|", ".",
        "not ", "answer: ", "\ud83d", "\u202e", "\x00", "yes", "B) ", "$", "\\frac", "<<", "***", ", ", "&amp;", "İ",
    ]  # fmt: skip
    return "".join(rng.choice(pieces) for _ in range(rng.randint(0, 25)))


@pytest.mark.parametrize("name", list(scorers))
def test_any_text_and_any_reference_end_in_a_score_or_a_reason(made, name):
    for seed in range(150):
        text, reference = awkward(seed), awkward(seed + 10_000)
        extra = {"schema": awkward(seed + 1), "constraints": awkward(seed + 2), "labels": awkward(seed + 3)}
        score = scored(made[name], text, reference, **extra)
        assert score.reason or 0.0 <= score.value <= 1.0


@pytest.mark.parametrize("name", ANY_TEXT)
@settings(deadline=None)
@given(text=st.text(min_size=1, max_size=80).filter(str.strip))
@such_as(text="<think>")
def test_a_text_is_as_good_as_itself(made, name, text):
    if not text.startswith(CANNOT_ANSWER):
        assert scored(made[name], text, text).value == pytest.approx(1.0)


@pytest.mark.parametrize("name", ANY_TEXT)
def test_any_of_several_right_answers_counts(made, name):
    for others in (["Oslo", PROSE], json.dumps(["Oslo", PROSE])):
        assert scored(made[name], PROSE, "Rome", accepted_answers=others).value == pytest.approx(1.0)
    assert scored(made[name], "Bern", "Rome", accepted_answers=["Oslo"]).value < 1.0
