import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build.src.records import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.multiple_choice import MultipleChoice, extract_letter, read_options

CAPITALS = "Which city is the capital of France?\nA) Rome\nB) Berlin\nC) Paris\nD) Paris, Texas"


def score(text, reference="C", instruction=CAPITALS):
    return scorers["multiple_choice"]().score(Instruction.create(instruction, reference=reference), text).value


@pytest.mark.parametrize(
    "text",
    [
        "C", "c", "(C)", "C.", "C)", "**C.**", "**C**", "\\boxed{C}", "$\\boxed{\\text{C}}$", "C) Paris", "Option c",
        "the answer is C", "The answer is: **C**", "The correct answer is option (C).", "Answer: C", "[C]", "`C`",
        "C - Paris", "C: Paris, because it is.", "A is Rome and B is in Germany, so the answer is C.",
        "The answer is A. Wait, no. The answer is C.", "I would pick C", "Paris", "paris.", "It must be Paris!",
        "Rome (A) is wrong, the capital is (C)", "My choice: C\nReason: it is the capital.",
        "C\n\nParis is the capital.",
        "Final answer = C", "C is the correct answer. A, B, and D are not.", "It must be C since A, B and D fail.",
        "The answer isn't A or B, it's C.", "C. Paris is the capital. Option A is Rome.",
        "The answer could be A, but it's C.", "The answer is A... wait, no. It is C.",
        "The capital is Paris, and not Rome.",
    ],
)  # fmt: skip
def test_the_letter_is_found_in_messy_answers(text):
    assert score(text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "", "B", "D) Paris, Texas", "Rome", "The answer is C. Wait, no. The answer is A.", "B or C", "C or D",
        "The answer is A or C.", "I cannot answer this: no options in it", "A city in France", "Rome or Paris",
        "It is C that tempts, but the answer is A.", "A is the correct answer, C is not.", "A, C",
        "cats", "Option A", "\\boxed{A} because not C",
    ],
)  # fmt: skip
def test_another_letter_or_none_scores_nothing(text):
    assert score(text) == 0.0


def test_a_reference_may_have_its_text_or_be_the_text():
    assert score("Paris", "C) Paris", "Capital of France?") == 1.0
    assert score("(C)", "c. Paris") == 1.0
    assert score("C", "Paris") == 1.0
    assert score("B", "Paris") == 0.0
    assert score("Paris.", "Paris", "Capital of France?") == 1.0
    assert score("(D) answer is B", "(D) answer is B") == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Capital? A) Rome B) Oslo C) Bern", "Capital? (A) Rome (B) Oslo (C) Bern",
        "Capital?\nA. Rome\nB. Oslo\nC. Bern",
        "Capital? A: Rome; B: Oslo; C: Bern", "A = Rome, B = Oslo, C = Bern", "A) x B) y\n\nA) Rome\nB) Oslo\nC) Bern",
    ],
)  # fmt: skip
def test_options_are_read_in_many_layouts(text):
    assert read_options(text) == {"A": "rome", "B": "oslo", "C": "bern"}


def test_prose_has_no_options():
    assert read_options("A dog. It sat on B: a chair? No.") == {}
    assert read_options("") == {}


@given(st.sampled_from("ABCDEFGHIJ"), st.sampled_from(["{}", "({})", "**{}**", "The answer is {}.", "\\boxed{{{}}}"]))
def test_every_letter_is_found(letter, form):
    assert extract_letter(form.format(letter)) == letter
    assert score(form.format(letter), letter, "?") == 1.0


@given(st.text(max_size=300), st.text(max_size=40), st.text(max_size=200))
def test_scores_are_zero_or_one(text, reference, instruction):
    assert score(text, reference, instruction) in (0.0, 1.0)


@given(st.text(max_size=200))
def test_what_stands_before_the_last_statement_does_not_count(text):
    assert score(text + "\nThe answer is C.") == 1.0


def test_without_a_reference_there_is_no_score():
    assert MultipleChoice().score(Instruction.create("?"), "C").value is None


def test_very_long_answers_are_read_from_their_end():
    assert score("A) " * 50_000 + "\nThe answer is C") == 1.0
    assert score("(" * 100_000) == 0.0


@pytest.mark.parametrize("text", ["It is not C", "A or C", "Neither B nor C", "C is wrong"])
def test_a_letter_that_is_ruled_out_or_one_of_two_scores_nothing(text):
    assert score(text) == 0.0


@pytest.mark.parametrize(
    "text", ["Not A. C", "A is wrong, B is wrong, D is incorrect. So C.", "The answer is not A, it is C"]
)
def test_ruling_out_the_others_leaves_the_letter(text):
    assert score(text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Die richtige Antwort ist C.", "Antwort: C", "Die Antwort lautet (C), denn B ist falsch", "La réponse est C",
        "La bonne réponse est la lettre C", "La respuesta correcta es C)", "La respuesta es la opción C",
        "A resposta correta é a letra C", "La risposta corretta è C", "La risposta è la C", "Het antwoord is C",
        "Ответ: C", "Правильный ответ — C", "Правильный ответ: С", "Odpowiedź: C", "Doğru cevap: C",
        "答案是C", "答案：C。", "正确答案是C，因为B是柏林", "选C", "我选择C选项", "正解はCです", "答えはC",
        "정답은 C입니다", "정답: C", "C번",
        "الإجابة الصحيحة هي C", "الجواب: C", "सही उत्तर C है", "विकल्प C", "（C）", "Ｃ",
    ],
)  # fmt: skip
def test_the_letter_is_found_in_many_languages(text):
    assert score(text) == 1.0
    assert score(text, "B") == 0.0


@pytest.mark.parametrize(
    "text",
    [
        '{"reasoning": "A is Rome.", "answer": "C"}', "\\(\\boxed{\\textbf{(C)}}\\)", "The correct option is C",
        "the answer is c",
        "Therefore, option (C) is correct.", "So the correct choice would be C", "**Answer:** C", "$\\textbf{C}$",
        "The answer is a tricky one, but C it is.", "<think>A? B?</think>C",
    ],
)  # fmt: skip
def test_the_letter_is_found_in_json_latex_and_long_sentences(text):
    assert score(text) == 1.0


def test_an_article_is_no_letter():
    assert extract_letter("The answer is a city in the north") is None


@pytest.mark.parametrize("letter", "KLMNOPQRSTUVWXYZ")
def test_a_list_of_options_may_be_long(letter):
    instruction = "Which?\n" + "\n".join(f"({each}) option {each}" for each in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for text in (
        letter,
        f"({letter})",
        f"The answer is {letter}.",
        f"**{letter}**",
        f"option {letter}",
        f"It is {letter}.",
    ):
        assert score(text, letter, instruction) == score(text, f"({letter})", "Which?") == 1.0
        assert score(text, "B", instruction) == 0.0
    assert score(f"I guess {letter} stands for something; A", "A", "Which? A) one B) two") == 1.0


@pytest.mark.parametrize("piece", ["A, ", "A,   and   ", "A or ", "(A", "it is ", "A is the ", "answer is option "])
def test_long_lists_of_letters_are_read_in_time(piece):
    started = time.process_time()
    assert score(piece * 2000) == 0.0
    assert time.process_time() - started < 5
