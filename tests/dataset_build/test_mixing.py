from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import ConfigError, Instruction
from dataset_build.src.mixing import in_proportion


def stream(name: str, length: int | None = None) -> Iterator[Instruction]:
    number = 0
    while length is None or number < length:
        number += 1
        yield Instruction.create(f"{name}{number}", source=name)


def texts(mixture: Iterator[Instruction], limit: int | None = None) -> list[str]:
    return [one.text for one in islice(mixture, limit)]


def test_equal_weights_take_turns_and_go_on_without_the_one_that_ended():
    streams = [stream("a", 4), stream("b", 1), stream("c", 3)]
    found = texts(in_proportion(streams, [0.5, 0.5, 0.5], [None] * 3))
    assert found == ["a1", "b1", "c1", "a2", "c2", "a3", "c3", "a4"]


def test_a_weight_is_a_share_of_every_prefix():
    found = texts(in_proportion([stream("a"), stream("b")], [3, 1], [None, None]), 8)
    assert "".join(text[0] for text in found) == "aaabaaab"


def test_a_cap_leaves_the_share_to_the_others():
    found = texts(in_proportion([stream("a"), stream("b"), stream("c")], [8, 1, 1], [2, None, 3]), 12)
    assert Counter(text[0] for text in found) == {"a": 2, "b": 7, "c": 3}


def test_a_stream_that_met_its_cap_is_read_no_further():
    def once() -> Iterator[Instruction]:
        yield Instruction.create("only")
        raise AssertionError("read too far")

    assert texts(in_proportion([once(), stream("b", 1)], [1, 1], [1, None])) == ["only", "b1"]


@settings(max_examples=200, deadline=None)
@given(weights=st.lists(st.one_of(st.floats(0.01, 100), st.integers(1, 10_000)), min_size=1, max_size=9))
def test_every_stream_is_less_than_one_from_its_share_at_any_prefix(weights: list[float]):
    streams = [stream(str(number)) for number in range(len(weights))]
    counts = Counter[str]()
    for length, one in enumerate(islice(in_proportion(streams, weights, [None] * len(weights)), 300), start=1):
        counts[str(one.source)] += 1
        for number, weight in enumerate(weights):
            assert abs(counts[str(number)] - length * weight / sum(weights)) < 1 + 1e-9


@settings(max_examples=200, deadline=None)
@given(
    parts=st.lists(
        st.tuples(st.integers(1, 50), st.integers(0, 40), st.one_of(st.none(), st.integers(1, 40))),
        min_size=1,
        max_size=6,
    )
)
def test_with_streams_that_end_nothing_is_lost_and_the_rest_keep_their_proportions(
    parts: list[tuple[int, int, int | None]],
):
    weights = [weight for weight, _, _ in parts]
    ends = [length if cap is None else min(length, cap) for _, length, cap in parts]
    streams = [stream(str(number), length) for number, (_, length, _) in enumerate(parts)]
    counts = [0] * len(parts)
    for one in in_proportion(streams, weights, [cap for _, _, cap in parts]):
        number = int(str(one.source))
        counts[number] += 1
        assert one.text == f"{number}{counts[number]}"
        live = [n for n in range(len(parts)) if counts[n] < ends[n]]
        given_by_live, weight_of_live = sum(counts[n] for n in live), sum(weights[n] for n in live)
        for n in live:
            assert abs(counts[n] - given_by_live * weights[n] / weight_of_live) < 2
    assert counts == ends


@pytest.mark.parametrize(
    ("weights", "caps", "said"),
    [
        ([1, 0], [None, None], "weight of a source is 0"),
        ([1, -2], [None, None], "weight of a source is -2"),
        ([1, float("nan")], [None, None], "weight of a source is nan"),
        ([1, float("inf")], [None, None], "weight of a source is inf"),
        ([1, 1], [None, 0], "limit of a source is 0"),
        ([1], [None, None], "2 streams came with 1 weights"),
    ],
)
def test_what_is_no_proportion_is_refused_before_anything_is_read(
    weights: list[float], caps: list[int | None], said: str
):
    with pytest.raises(ConfigError, match=said):
        in_proportion([stream("a"), stream("b")], weights, caps)
