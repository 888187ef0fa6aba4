import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixture_training.src.encoders.features import _KINDS, NAMES, FeaturesEncoder, describe
from mixture_training.src.encoders.number_facts import NAMES as FACTS
from mixture_training.src.encoders.number_facts import is_prime, number_facts


def facts(text):
    return dict(zip(FACTS, number_facts(text), strict=True))


def test_every_number_has_a_name_of_its_own():
    assert len(set(NAMES)) == len(NAMES) == len(describe("a")) == len(describe(""))
    assert len(FACTS) == len(number_facts("")) == len(number_facts("1")) == len(number_facts("1.5"))


@pytest.mark.parametrize(
    ("number", "claims"),
    [
        (17, {"is_prime": 1, "is_even": -1, "divides_by_3": -1, "divides_by_5": -1, "is_square": -1}),
        (900, {"is_prime": -1, "is_even": 1, "divides_by_3": 1, "divides_by_5": 1, "is_square": 1}),
        (2**64 - 59, {"is_prime": 1, "is_even": -1}),
        (2**64, {"is_prime": 0, "is_even": 1, "is_square": 1}),
        ("7" * 5000, {"is_prime": 0, "is_even": -1}),
    ],
)
def test_facts_of_the_largest_number(number, claims):
    found = facts(f"Of 3 and {number}, which is larger?")
    assert {name: found[f"largest_{name}"] for name in claims} == claims


def test_numbers_are_read_as_people_write_them():
    assert facts("no number")["numbers"] == 0
    assert facts("1,234,567 or 12")["largest"] == pytest.approx(math.log10(1234568))
    assert facts("1,2,3")["largest"] == pytest.approx(math.log10(4))
    assert facts("-5 and 2.5")["negatives"] == pytest.approx(math.log(2))
    assert facts("-5 and 2.5")["decimals"] == pytest.approx(math.log(2))
    assert facts("2-5")["negatives"] == 0
    assert facts("4 then 9")["last_is_even"] == -1
    assert facts("٣ and ٤")["largest"] == pytest.approx(math.log10(5))


def test_primes_are_told_without_an_error():
    sieve = [True] * 20_000
    sieve[0] = sieve[1] = False
    for number in range(2, 150):
        if sieve[number]:
            sieve[number * number :: number] = [False] * len(sieve[number * number :: number])
    assert [is_prime(number) for number in range(20_000)] == sieve
    # Strong pseudoprimes to the first bases (Jaeschke, 1993), a Carmichael number, and primes beside powers of two.
    composites = [3_215_031_751, 341_550_071_728_321, 3_825_123_056_546_413_051, 561, (2**31 - 1) ** 2, 2**64 - 1]
    assert not any(map(is_prime, composites))
    assert all(map(is_prime, [2**31 - 1, 2**61 - 1, 2**64 - 59, 18_446_744_073_709_551_533]))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Translate: Привет", "share_cyrillic"),
        ("数学は何ですか", "share_han"),
        ("数学は何ですか", "share_kana"),
        ("ما هي العاصمة؟", "share_arabic"),
        ("안녕하세요", "share_hangul"),
        ("∑ x ≤ 3", "share_symbols"),
        ("nice 🙂", "share_emoji"),
        ("Éléphant", "share_accented"),
        ("Why is it so?", "opens_why"),
        ("Is 7 prime?", "opens_yes_or_no"),
        ("Write a poem.", "opens_order"),
        ("Rain fell in May. It was cold. Where did it fall?", "asks_where"),
        ("Pick:\nA) one\nB) two", "options"),
        ("What?", "ends_with_question"),
        ("def f():\n    return 1", "count_'def '"),
    ],
)
def test_what_a_text_shows_is_seen(text, name):
    assert describe(text)[name] > 0
    assert describe("zzz")[name] == 0


def test_the_shares_of_a_text_are_at_most_all_of_it():
    shares = [describe("Aé1 -数\n")[f"share_{kind}"] ** 2 for kind in _KINDS]
    assert sum(shares) == pytest.approx(1)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=300))
def test_any_text_gives_bounded_numbers(text):
    values = np.array(list(describe(text).values()))
    assert np.isfinite(values).all()
    assert np.abs(values).max() <= 31


def test_standardised_on_the_training_texts():
    texts = [f"Is {number} prime{'!' * (number % 4)}? {'please ' * (number % 3)}" for number in range(300)]
    vectors = FeaturesEncoder().fit(texts).encode(texts)
    assert np.mean((vectors**2).sum(axis=1)) == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=0.01)
    alone = FeaturesEncoder().fit(["only one"])
    assert not alone.encode(["something else 7?"]).any()
    assert not FeaturesEncoder().fit([]).encode(["a"]).any()


def test_a_hostile_text_takes_no_longer_than_it_is_long():
    hostile = ["9" * 10**6, "1," * 10**6, "? " * 10**6, "(a) " * 10**6, "-" * 10**6, "\n" * 10**6, "1.1.1." * 10**5]
    started = time.process_time()
    FeaturesEncoder().fit(["a", "b 1"]).encode(hostile)
    assert time.process_time() - started < 2  # quadratic would be minutes
