"""Instructions on disk come back as they were, in their order, each id once."""

import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build.src.errors import DataError
from dataset_build.src.instruction_store import PAGE, InstructionStore
from dataset_build.src.records import Instruction

#: Any text Python can hold: zero characters and lone surrogates too.
texts = st.text(alphabet=st.characters(codec=None, exclude_categories=()), max_size=20)
odd = st.one_of(texts, st.sampled_from(["\ud800", "a\x00b", "\x00", "", "é\udfff", "\U0001f600", "' OR 1=1 --"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd, inner, max_size=3),
    max_leaves=5,
)
instructions = st.builds(
    Instruction,
    id=odd,
    text=odd,
    category=st.none() | odd,
    reference=st.none() | odd,
    source=st.none() | odd,
    split=st.none() | odd,
    metric=st.none() | odd,
    extra=st.dictionaries(odd, values, max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(given_ones=st.lists(instructions, max_size=12, unique_by=lambda one: one.id))
def test_any_instruction_comes_back_as_it_was_in_order_and_sorted(given_ones: list[Instruction]):
    with InstructionStore(given_ones) as store:
        assert list(store) == given_ones
        assert len(store) == len(given_ones)
        assert list(store.by_id()) == sorted(given_ones, key=lambda one: one.id.encode("utf-8", "surrogatepass"))
        assert [one for page in store.pages(3) for one in page] == given_ones
        assert all(one.id in store for one in given_ones)
        assert store.metrics() == {one.metric for one in given_ones if one.metric is not None}
        assert list(store.extras()) == [one.extra for one in given_ones if one.extra]
        for one in given_ones:
            same_text = {other.split for other in given_ones if other.text == one.text}
            assert store.given_splits(one.text) == same_text - {None}


def test_what_is_not_there_is_not_found():
    with InstructionStore([Instruction(id="a", text="x")]) as store:
        assert "b" not in store
        assert store.given_splits("x") == set()
        assert store.given_splits("y") == set()
        assert store.metrics() == set()
        assert list(store.extras()) == []


def test_an_id_that_comes_twice_is_kept_once_and_one_for_two_texts_is_refused():
    with InstructionStore() as store:
        assert store.add(Instruction(id="a", text="one", category="first"))
        assert not store.add(Instruction(id="a", text="one", category="second"))
        assert [one.category for one in store] == ["first"]
        with pytest.raises(DataError, match="'a' stands for two texts, 'one' and 'two'; give each its own id"):
            store.add(Instruction(id="a", text="two"))
        assert len(store) == 1


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_pages_end_where_they_should_and_several_iterations_go_on_at_a_time(count: int):
    made = [Instruction(id=f"i{n:05d}", text=f"text {n}", extra={"n": n}) for n in range(count)]
    with InstructionStore(made) as store:
        pages = list(store.pages())
        assert [len(page) for page in pages[:-1]] == [PAGE] * (len(pages) - 1)
        assert [one for page in pages for one in page] == made
        assert all(first == second for first, second in zip(store, store, strict=True))
        assert [extra["n"] for extra in store.extras()] == list(range(count))
        assert len(list(store.by_id())) == count


def test_instructions_may_be_added_while_others_are_read():
    with InstructionStore(Instruction(id=f"i{n}", text=str(n)) for n in range(PAGE)) as store:
        seen = []
        for one in store:
            seen.append(one.id)
            if len(seen) == 10:
                store.add(Instruction(id="late", text="late"))
        assert seen[-1] == "late"


@pytest.mark.parametrize("keeps_metric", [True, False])
def test_merging_keeps_the_split_of_the_dataset_and_its_metric_only_where_told_to(keeps_metric: bool):
    new = [
        Instruction(id="both", text="x", split="train", reference="new"),
        Instruction(id="named", text="y", metric="number"),
        Instruction(id="fresh", text="z"),
    ]
    existing = [
        Instruction(id="both", text="x", split="test", metric="label", reference="old"),
        Instruction(id="named", text="y", metric="label"),
        Instruction(id="old", text="w", split="validation", metric="label"),
    ]
    with InstructionStore(new) as store:
        store.merge(existing, keeps_metric=keeps_metric)
        found = {one.id: one for one in store}
    assert list(found) == ["both", "named", "fresh", "old"]
    assert (found["both"].split, found["both"].reference) == ("test", "new")
    assert found["both"].metric == ("label" if keeps_metric else None)
    assert found["named"].metric == "number"
    assert found["old"].split == "validation"


def test_a_continued_dataset_with_another_text_under_an_id_is_refused():
    with InstructionStore([Instruction(id="a", text="one")]) as store, pytest.raises(DataError, match="two texts"):
        store.merge([Instruction(id="a", text="two")], keeps_metric=True)


def test_nothing_is_left_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with InstructionStore(Instruction(id=f"i{n}", text="x" * 5000) for n in range(2000)) as store:
        assert len(store) == 2000
        assert not list(tmp_path.iterdir())
