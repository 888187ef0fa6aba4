import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.list_f1 import extract_both
from dataset_build.src.scorers.listed_items import extract_items

COLOURS = "red, yellow, blue"
WORDS = st.lists(st.from_regex(r"[a-z]{3,8}", fullmatch=True), min_size=2, max_size=6)


def score(metric, text, reference, **options):
    return scorers[metric](**options).score(Instruction.create("?", reference=reference), text).value


@pytest.mark.parametrize(
    "text",
    [
        "Sure! The primary colours are:\n1. **Red**: warm\n2. Yellow\n- Blue",
        "They are red, yellow and blue.",
        '["red", "yellow", "blue"]',
        '```json\n["Red", "Yellow", "Blue"]\n```',
        '{"colours": ["red", "yellow", "blue"]}',
        '{"reasoning": "mixing", "answer": ["red", "yellow", "blue"]}',
        "['red', 'yellow', 'blue']",
        "Red\nYellow\nBlue",
        "* red - warm\n* yellow (bright)\n* blue: cold",
        "red; yellow; blue",
        "red,yellow,blue",
        "**Red**, **Yellow**, **Blue**",
        "I think:\n\nred, yellow, blue",
        "• Red\n• Yellow\n• Blue\n\nHope that helps!",
        "The answer is red, yellow, and blue.",
        "<think>green? no</think>(a) red\n(b) yellow\n(c) blue",
    ],
)
def test_lists_are_read_in_many_layouts(text):
    assert score("list_f1", text, COLOURS) == 1.0
    assert score("set_f1", text, COLOURS) == 1.0
    assert score("list_f1", text, COLOURS, ordered=True) == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0.0), ("red", 0.5), ("- red\n- green", 0.4), ("green", 0.0), ("red, yellow, blue, green", 6 / 7)],
)
def test_what_is_missing_and_what_is_too_much_costs(text, expected):
    assert score("list_f1", text, COLOURS) == pytest.approx(expected)


def test_repeats_count_in_a_list_and_not_in_a_set_and_order_only_when_asked():
    assert score("list_f1", "a, b", "a, a, b") == pytest.approx(0.8)
    assert score("set_f1", "a, b", "a, a, b") == 1.0
    assert score("list_f1", "b, a", "a, b") == 1.0
    assert score("list_f1", "b, a", "a, b", ordered=True) == pytest.approx(0.5)


def test_the_reference_decides_between_two_readings():
    given, expected = extract_both("- Star Wars: A New Hope\n- Cuba: an island", '["Star Wars: A New Hope", "Cuba"]')
    assert given == expected
    assert extract_items("Cuba; Trinidad and Tobago") == ["cuba", "trinidad and tobago"]
    assert extract_items("Cuba, Trinidad and Tobago", {"trinidad and tobago"}) == ["cuba", "trinidad and tobago"]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("赤と青", "赤、青"), ("红和蓝", "红、蓝"), ("红、绿和蓝", "红、绿、蓝"), ("和平", "和平、红"),
        ('Answer: ["b", "a"]', '["a", "b"]'),
    ],
)  # fmt: skip
def test_lists_in_scripts_without_spaces_and_announced_arrays_are_read(text, reference):
    assert score("list_f1", text, reference) == (1.0 if text != "和平" else pytest.approx(2 / 3))


def test_numbers_keep_their_thousands():
    assert extract_items("12,000 and 13,000") == ["12,000", "13,000"]
    assert extract_items("1,2,3") == ["1", "2", "3"]


def test_a_reference_without_items_cannot_be_judged():
    assert score("list_f1", "a", "[]") is None
    assert score("set_f1", "a", "") is None


@given(WORDS, st.sampled_from(["- {}", "{}", "* **{}**"]))
def test_every_layout_gives_back_its_items(words, mark):
    lines = "\n".join(mark.format(word) for word in words)
    numbered = "\n".join(f"{number}. {word}" for number, word in enumerate(words, start=1))
    for text in (lines, numbered, "; ".join(words), ", ".join(words), f"{words}".replace("'", '"')):
        assert sorted(extract_items(text, set(words))) == sorted(words)


@given(st.text(max_size=200), st.text(max_size=60))
def test_scores_are_in_range_and_the_list_itself_is_right(text, reference):
    for metric in ("list_f1", "set_f1"):
        value = score(metric, text, reference)
        assert value is None or 0.0 <= value <= 1.0
        assert score(metric, reference, reference) in (None, 1.0)
