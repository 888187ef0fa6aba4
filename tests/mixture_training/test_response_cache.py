from dataclasses import replace

import pytest

from dataset_build import ChatCall, ConfigError
from mixture_training.src.asking import Ask, MoEResult
from mixture_training.src.receipt import Candidate, Receipt
from mixture_training.src.response_cache import ResponseCache, is_deterministic

RECEIPT = Receipt("1", "now", "1-a", "quality", "quality", "a", "why", (Candidate("a", 0.5, 0.1),))


def result(text="yes"):
    return MoEResult(text, "a", None, None, 0.1, 0.1, (), "1", (), 0.5, "why", "quality", None, RECEIPT)


def ask(text="hi", **options):
    return Ask(ChatCall(({"role": "user", "content": text},), {"temperature": 0, **options}))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_only_what_comes_out_the_same_again_is_kept_unless_all_is_asked_for():
    assert is_deterministic(ask().call)
    assert ResponseCache().key(ask(temperature=0.0), "1") is not None
    for options in ({"temperature": 0.1}, {"temperature": None}, {"temperature": False}):
        assert ResponseCache().key(ask(**options), "1") is None
        assert ResponseCache(everything=True).key(ask(**options), "1") is not None


def test_everything_about_a_request_tells_it_from_others():
    cache, base = ResponseCache(), ask()
    others = [
        ask("ho"),
        ask(seed=1),
        replace(base, policy="quality"),
        replace(base, expert="a"),
        replace(base, allowed=frozenset({"a"})),
        replace(base, allowed=frozenset()),
        replace(base, key_id="k"),
    ]
    keys = {cache.key(one, "1") for one in (base, *others)} | {cache.key(base, "2")}
    assert len(keys) == len(others) + 2
    assert cache.key(replace(base, user="u", session="s"), "1") == cache.key(base, "1")


def test_an_answer_is_kept_for_a_while():
    clock = Clock()
    cache = ResponseCache(kept_s=10.0, clock=clock)
    cache.put(b"k", result())
    clock.now = 9.0
    assert cache.get(b"k").response == "yes"
    clock.now = 11.0
    assert cache.get(b"k") is None
    assert (len(cache), cache.bytes, cache.hits, cache.misses) == (0, 0, 1, 1)


def test_the_cache_stays_within_its_bytes_and_forgets_what_was_used_longest_ago():
    cache = ResponseCache(most_bytes=100_000)
    for number in range(1000):
        cache.put(str(number).encode(), result("x" * 100))
        cache.get(b"0")
    assert cache.bytes <= 100_000
    assert 10 < len(cache) < 100
    assert cache.get(b"0") is not None
    assert cache.get(b"1") is None
    cache.put(b"huge", result("x" * 10_000))
    assert cache.get(b"huge") is None
    cache.put(b"0", result("again"))
    assert cache.get(b"0").response == "again"


def test_a_cache_without_room_is_refused():
    with pytest.raises(ConfigError, match="limits above 0"):
        ResponseCache(most_bytes=0)
