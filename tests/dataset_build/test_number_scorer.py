"""The scorer `number` beyond plain figures: locales, languages, units, tolerances; and answers in JSON."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import ConfigError, Instruction
from dataset_build.src.scorers.answer_text import listed, stated_answer, visible_answer
from dataset_build.src.scorers.measured_units import unit_after
from dataset_build.src.scorers.number import Number, extract_number, final_number
from dataset_build.src.scorers.number_words import number_in_words
from dataset_build.src.scorers.numerals import numerals, plain_numbers
from dataset_build.src.sources.bundled.numerals import in_words


def score(reference, text, **options):
    return Number(**options).score(Instruction.create("?", reference=reference), text).value


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("10", "10^6"), ("3", "3 × 10⁸ m/s"), ("10", "3 × 10⁸ m/s"), ("2", "2^3"), ("2", "2**3"), ("5", "minus 5"),
        ("5", "negative 5"), ("5", "√5"), ("5", "5!"), ("5", r"\boxed{5!}"), ("5", "It is not 5"),
        ("5", "The answer is not 5."), ("345", "12 345"), ("2.5", "2.5k"), ("1.5", "$1.5M"), ("1.5", "$1.5 M"),
        ("150", "150万"),        ("5000", "3万5千"), ("6", "5 or 6"), ("5", "5 or 6"), ("5", "The answer is 5 or 6."),
        ("5", "5^n"), ("13", "twelve"),
    ],
)  # fmt: skip
def test_a_part_of_a_number_is_not_the_number(reference, text):
    assert score(reference, text) == 0.0


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("1000000", "10^6"), ("8", "2**3 apples"), ("300000000", "3 × 10⁸ m/s"), ("0.00012", "1.2×10⁻⁴"),
        ("-5", "minus 5"), ("-5", "It is negative 5 °C"), ("4", "7 minus 3 = 4"), ("120", "5!"), ("4", "√16"),
        ("12345", "12 345"),
        ("12345678", "12 345 678 people"), ("1000000", "1_000_000"), ("2500", "2.5k"), ("1500000", "$1.5M"),
        ("1500000", "150万"), ("250000", "2.5 lakh"), ("300", "300K"), ("300000", "300K"), ("20", "USD20"),
        ("20", "Rs.20"), ("20", "US$ 20"), ("13", "13 (7+6)"), ("12", "twelve"),
        ("205", "Two hundred and five apples."),
        ("-42", "The answer is minus forty-two."), ("0.5", "0.5 or 50%"), ("6", "It is not 5 but 6."), ("5", "5 m²"),
        ("24", "2 dozen"), ("5", "The answer is 5!"),
    ],
)  # fmt: skip
def test_numbers_are_what_they_stand_for(reference, text):
    assert score(reference, text) == 1.0


@given(st.integers(1, 999), st.integers(1, 999), st.integers(0, 999))
def test_a_number_in_words_is_read_back(millions, thousands, rest):
    spelled = f"{in_words(millions)} million {in_words(thousands)} thousand {in_words(rest)}"
    assert number_in_words(spelled) == (millions * 10**6 + thousands * 1000 + rest, len(spelled))


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("1234.5", "Das Ergebnis ist 1.234,5", 1), ("1234567", "1.234.567 Einwohner", 1), ("1234.56", "1 234,56 €", 1),
        ("1234.56", "1\u202f234,56 €", 1), ("1234.56", "1'234.56", 1), ("1234567", "12,34,567 rupees", 1),
        ("3.5", "La réponse est 3,5 km", 1), ("0.125", "0,125", 1), ("1234", "1.234", 0), ("3", "(3,5)", 0),
        ("1234", "答案是1234。", 1), ("42", "답은 42입니다", 1), ("42", "答えは42です", 1), ("42", "الإجابة هي ٤٢", 1),
        ("42", "Ответ: 42", 1), ("42", "Die Antwort lautet 42, nicht 41", 1), ("42", "उत्तर: ४२", 1),
        ("42", "Respuesta final: 42 (no 40)", 1), ("42", "４２", 1),
        ("1500000", "about 1.5 million", 1), ("1.5", "1.5 million", 1), ("5 million", "5,000,000", 1),
        ("2.5", "2½", 1), ("12.5", "12,5 %", 1), ("0.75", r"$\frac34$", 1), ("0.125", "12.5 Prozent", 1),
        ("2", "It starts at 2:00 pm", 1), ("300000000", r"3 \times 10^8 m/s", 1), ("3e8", "3·10^8", 1),
        ("12000", r"It is $12{,}000$", 1), ("10000", r"\$10,\!000", 1),
        ("72", "48/2 = 24\n#### 72", 1), ("72", "#### 72\nThat is 3 steps.", 1),
        ("24", "p = 0.24\n\nSo, there is a 24% chance.", 1), ("5", "= 5 dozen\n\nSo she needs 5 dozen for 30 days.", 1),
        ("7", "x = 7\n\nNote that 3 steps were needed.", 1), ("68", "T = 5\nT ≥ 68\n\nTherefore, 68 degrees.", 1),
        ("41", "The short answer questions are worth 5 points, so 26 + 15 = 41 points.", 1),
        ("33", "The answer is 33.33%, so 33%", 0),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(reference, text, expected):
    assert score(reference, text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"reasoning": "2 + 2 = 4", "answer": "8"}', 8), ('```json\n{"reasoning": "9", "answer": 8}\n```', 8),
        ('Here you are:\n\n{\n "reasoning": "9",\n "answer": "$8"\n}', 8),
        ('{"reasoning": "a "quote"", "answer": "8"}', 8),
        ('{"reasoning": "cut off, "answer": 8', 8), ('{"answer": {"value": 8}}', 8),
    ],
)  # fmt: skip
def test_the_field_answer_of_a_json_reply_counts(text, value):
    assert final_number(text).value == value


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("12 km", "12,000 m", 1), ("12 km", "12 kg", 0), ("12 km", "12", 1), ("12", "12 km", 1), ("12 km", "12 km", 1),
        ("25 °C", "77 °F", 1), ("100 km/h", "62.137 mph", 1), ("2 m^2", "20000 cm²", 1), ("3 hours", "180 minutes", 1),
        ("1 l", "1000 cm^3", 1), ("5 dollars", "5 apples", 1), ("5 apples", "6 apples", 0), ("1 mile", "1.609 km", 1),
        ("12 km", r"The answer is \boxed{12000\text{ m}}", 1), ("3 square metres", "30000 square centimetres", 1),
        ("12 km", "13 m", 0), ("5 m", "5 9**9**9", 0), ("60 km/h", "1 km per minute", 1),
    ],
)  # fmt: skip
def test_units_are_converted_when_asked_for(reference, text, expected):
    pytest.importorskip("pint")
    assert score(reference, text, units=True) == expected


def test_units_do_not_matter_otherwise():
    assert score("12 km", "12 m") == 1.0
    assert score("12 km", "12,000 m") == 0.0


@pytest.mark.parametrize(
    ("rest", "unit"),
    [(" km/h, roughly", "km/h"), (" square metres", "metres**2"), (". Done", ""), (r"\text{ m}", "m"), (" °C", "degC")],
)
def test_the_unit_after_a_number_is_read(rest, unit):
    assert unit_after(rest) == unit


def test_a_tolerance_is_a_share_or_a_number():
    assert [score("200", text, tolerance=0.01) for text in ("202", "203", "198")] == [1.0, 0.0, 1.0]
    assert [score("200", text, absolute_tolerance=1.0) for text in ("201", "202")] == [1.0, 0.0]
    assert score("200", "200.5", tolerance=0.0) == 0.0
    with pytest.raises(ConfigError, match="tolerance"):
        Number(tolerance=-1)


def test_the_rest_of_a_number_is_what_follows_it():
    number, rest = extract_number("It is 12.50 km away")
    assert (number.value, number.places, rest) == (Fraction(25, 2), 2, " km away")
    assert extract_number("none") is None


@given(st.integers(0, 10**12), st.integers(0, 99))
def test_every_locale_s_writing_is_read_back(whole, cents):
    value = whole + Fraction(cents, 100)
    english = f"{whole:,}.{cents:02}"
    german = english.translate(str.maketrans(",.", ".,"))
    for written in (english, german, english.replace(",", "'"), german.replace(".", "\u202f"), f"{whole}.{cents:02}"):
        assert [one.value for one in numerals(plain_numbers(f"it is {written} in all"))] == [value]


def test_thoughts_are_no_part_of_an_answer():
    assert visible_answer("<think>3 or 4?</think>4") == "4"
    assert visible_answer("cut</think> 4") == " 4"
    assert visible_answer("<think>3 or") == ""
    assert score("4", "<think>5</think>4") == 1.0
    assert score("5", "<think>5") == 0.0


def test_only_the_answer_s_own_field_is_taken_from_json():
    assert stated_answer('{"city": "Oslo"}') == '{"city": "Oslo"}'
    assert stated_answer('{"Answer": [1, "a"]}') == '[1, "a"]'
    assert stated_answer('{"answer": true}') == "true"
    assert stated_answer("The answer is {x}") == "The answer is {x}"
    assert listed("a|b") == ["a", "b"]


@given(st.text(alphabet='{}"answer: ,0123456789.\n`json', max_size=100))
def test_any_broken_json_gives_some_text(text):
    assert isinstance(stated_answer(text), str)
    assert score("5", text) in (0.0, 1.0)
