import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.label import Label, named_label

LABELS = ["positive", "negative", "neutral"]


def score(text, reference, **extra):
    return Label().score(Instruction.create("?", reference=reference, extra=extra), text).value


@pytest.mark.parametrize(
    "text",
    [
        "Positive",
        "The sentiment is **positive**.",
        "It starts badly. Overall: positive!",
        "positive, since it praises the food",
        "not negative but positive",
        "The first part is negative, but the review is positive",
        "positive, not negative",
        "1. POSITIVE",
    ],
)
def test_a_wordy_answer_counts(text):
    assert score(text, "positive") == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "not positive",
        "non-positive",
        "positively awful",
        "positive or negative",
        "positive/negative",
        "Positive? No, it isn't positive.",
        "neutral: neither positive nor negative",
        "Some positive words, but overall the sentiment is negative.",
        "negative, positive, or neutral",
        "positive? No.",
        "Is it positive? Hardly.",
        "I wouldn't say positive",
        "I would not call it positive.",
        "I don't think it is positive",
        "It is far from positive",
        "I cannot answer this: it does not ask how somebody feels about something",
        "",
    ],
)
def test_a_denied_missing_or_undecided_label_does_not(text):
    assert score(text, "positive") == 0.0


def test_any_accepted_alternative_counts():
    assert score("It's Farsi (Persian)", "Persian|Farsi") == 1.0
    assert score("Danish or Norwegian", "Danish") == 0.0
    assert score("Chinese (not Japanese)", "Chinese|Mandarin") == 1.0


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yes, there is no doubt", "yes"), ("Yes. There is no reason to doubt it.", "yes"),
        ("Yes — no exceptions.", "yes"), ("There is no doubt: yes", "yes"), ("I have no idea", None), ("No idea", None),
        ("No, it isn't.", "no"), ("No", "no"),
        ("[No] it has a divisor", "no"), ("The answer is no because 3 divides it", "no"), ("no\nIt is not", "no"),
    ],
)  # fmt: skip
def test_a_no_that_belongs_to_a_noun_is_no_answer(text, label):
    assert named_label(text, ["yes", "no"]) == label


def test_labels_are_found_in_scripts_without_spaces():
    labels = ["正面", "负面"]
    texts = ("这是正面评价", "不是正面", "不是正面，是负面", "正面。", "ポジティブ")
    assert [named_label(text, labels) for text in texts] == ["正面", None, "负面", "正面", None]
    assert named_label("ポジティブではない。ネガティブです", ["ポジティブ", "ネガティブ"]) == "ネガティブ"


def test_rivals_can_come_with_the_instruction():
    assert score("refund or delivery", "refund") == 1.0
    assert score("refund or delivery", "refund", labels=["refund", "delivery"]) == 0.0


def test_without_a_reference_there_is_no_score():
    assert Label().score(Instruction.create("?"), "positive").value is None


@given(st.sampled_from(LABELS), st.sampled_from(["{}", "{}.", "**{}**", "The answer is {}.", "“{}”", "I'd say {}!"]))
def test_the_named_label_is_found_in_any_wrapping(label, wrapping):
    assert named_label(wrapping.format(label.upper()), LABELS) == label


@given(st.text(max_size=60), st.text(max_size=300))
def test_scores_lie_in_the_unit_interval(reference, text):
    assert score(text, reference) in (0.0, 1.0)


@given(st.text(max_size=40).filter(str.strip))
def test_a_reference_equals_itself(reference):
    assert score(reference, reference) == 1.0


@pytest.mark.parametrize("text", ["positive, negative", "positive and negative"])
def test_two_labels_side_by_side_settle_on_none(text):
    assert score(text, "positive") == 0.0


@pytest.mark.parametrize("labels", ['["red", "blue"]', "red|blue"])
def test_rivals_may_come_as_the_text_of_a_cell(labels):
    assert score("red, or blue", "red", labels=labels) == 0.0
    assert score("It is red.", "red", labels=labels) == 1.0


def test_a_bracketed_verdict_at_the_end_of_a_long_answer_counts():
    checked = "No, 7 does not divide it. It is not even. " * 600
    for end in ("\n\n[Yes]", 'Therefore, the answer is "[Yes]."', "\n(Yes)"):
        assert score(checked + end, "yes") == 1.0
        assert score(checked + end, "no") == 0.0


def test_the_field_answer_of_a_json_reply_counts():
    assert score('{"reasoning": "not negative, not neutral", "answer": "positive"}', "positive") == 1.0
