"""Simple facts of the numbers in a text: experts that are right about even numbers only differ in nothing else."""

import math
import re

#: What `number_facts` returns, in order.
NAMES = (
    "numbers", "decimals", "digits_of_the_largest", "largest", "smallest", "spread", "last", "largest_is_last",
    "largest_is_even", "largest_divides_by_3", "largest_divides_by_5", "largest_is_prime", "largest_is_square",
    "last_is_even", "sum_is_even", "negatives",
)  # fmt: skip

_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?")
#: Numbers of a text, and last digits of a number, that are looked at.
_MOST_NUMBERS, _MOST_DIGITS = 64, 300
#: Size from which numbers are all as large, as a decimal logarithm.
_LARGEST = 30.0
_SMALL_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
#: Below this the first four of them prove primality; below 2**64 all twelve do (Sorenson and Webster, 2015).
_FOUR_SUFFICE = 3_215_031_751


def number_facts(text: str) -> list[float]:
    """Return what `NAMES` says: sizes as decimal logarithms, claims as 1 (true), -1 (false) or 0 (no such number)."""
    found = _NUMBER.findall(text)
    if not found:
        return [0.0] * len(NAMES)
    decimals = negatives = 0
    integers: list[int] = []
    for written in found[:_MOST_NUMBERS]:
        negatives += written[0] == "-"
        if "." in written:
            decimals += 1
            continue
        digits = written.lstrip("-").replace(",", "")
        integers.append(int(digits[-_MOST_DIGITS:]))
    counts = [math.log1p(len(found)), math.log1p(decimals)]
    if not integers:
        return [*counts, *[0.0] * (len(NAMES) - 3), math.log1p(negatives)]
    largest, smallest, last = max(integers), min(integers), integers[-1]
    return [
        *counts,
        min(float(len(str(largest))), _LARGEST),
        _size(largest),
        _size(smallest),
        _size(largest - smallest),
        _size(last),
        _claim(largest == last),
        _claim(largest % 2 == 0),
        _claim(largest % 3 == 0),
        _claim(largest % 5 == 0),
        _claim(is_prime(largest)) if largest < 1 << 64 else 0.0,
        _claim(math.isqrt(largest) ** 2 == largest),
        _claim(last % 2 == 0),
        _claim(sum(integers) % 2 == 0),
        math.log1p(negatives),
    ]


def is_prime(number: int) -> bool:
    """Return whether a number below 2**64 is prime: Miller and Rabin's test with bases that leave no doubt there."""
    if number < 2:
        return False
    for prime in _SMALL_PRIMES:
        if number % prime == 0:
            return number == prime
    odd, halvings = number - 1, 0
    while odd % 2 == 0:
        odd //= 2
        halvings += 1
    for base in _SMALL_PRIMES[:4] if number < _FOUR_SUFFICE else _SMALL_PRIMES:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(halvings - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def _size(number: int) -> float:
    return min(math.log10(number + 1), _LARGEST)


def _claim(holds: bool) -> float:
    return 1.0 if holds else -1.0
