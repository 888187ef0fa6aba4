import pytest

from dataset_build import ChatCall, Price
from mixture_training.src.affinity import STICKINESS, Affinity, stays
from mixture_training.src.policy import parse_policy

PRICE = Price(prompt_per_million=10.0, cached_per_million=1.0)


def talk(*texts):
    return ChatCall(tuple({"role": "user", "content": text} for text in texts))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_continued_conversation_saves_the_price_of_what_was_read():
    table = Affinity()
    table.note("s", "large", talk("a", "b"), 1000)
    turn = table.last("s")
    assert turn.expert == "large"
    assert turn.saving(talk("a", "b", "c"), PRICE) == pytest.approx(1000 * 9e-6)


def test_another_conversation_or_an_unknown_price_saves_nothing():
    table = Affinity()
    table.note("s", "large", talk("a", "b"), 1000)
    turn = table.last("s")
    assert turn.saving(talk("a", "x", "c"), PRICE) == 0.0
    assert turn.saving(talk("a"), PRICE) == 0.0
    assert turn.saving(talk("a", "b", "c"), Price(prompt_per_million=10.0)) == 0.0


def test_equal_names_of_two_owners_are_two_sessions():
    table = Affinity()
    table.note("s", "large", talk("a"), 10, owner="key-1")
    assert table.last("s") is None
    assert table.last("s", owner="key-2") is None
    assert table.last("s", owner="key-1").expert == "large"


def test_a_turn_is_forgotten_when_endpoints_have_forgotten_it():
    clock = Clock()
    table = Affinity(kept_s=300.0, clock=clock)
    table.note("s", "large", talk("a"), 10)
    clock.now = 299.0
    assert table.last("s") is not None
    clock.now = 301.0
    assert table.last("s") is None
    assert len(table) == 0


def test_the_table_does_not_grow_for_ever():
    clock = Clock()
    table = Affinity(most=100, clock=clock)
    for number in range(1000):
        table.note(f"s{number}", "large", talk("a"), 10)
    assert len(table) == 100
    assert table.last("s999") is not None
    clock.now = 1e6
    table.note("new", "large", talk("a"), 10)
    assert len(table) == 1


def test_what_staying_saves_counts_as_the_policy_says():
    rule = parse_policy("cost_weight=100")
    pair = (0.80, 0.75), (0.001, 0.001)  # the session's expert scores 0.05 less: worth 0.0005 USD
    assert not stays(rule, *pair, saving=0.0004, half_width=None)
    assert stays(rule, *pair, saving=0.0006, half_width=None)


def test_for_quality_an_expert_is_kept_within_what_nobody_notices():
    rule, costs = parse_policy("quality"), (0.001, 0.001)
    assert stays(rule, (0.80, 0.80 - STICKINESS / 2), costs, saving=0.0, half_width=0.3)
    assert not stays(rule, (0.80, 0.80 - STICKINESS * 2), costs, saving=9.0, half_width=0.3)
    assert not stays(rule, (0.80, 0.80 - STICKINESS / 2), costs, saving=0.0, half_width=STICKINESS / 4)
