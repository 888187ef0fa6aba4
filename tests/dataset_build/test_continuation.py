"""Answers of a finished dataset find the instructions they belong to, whatever their source is called now."""

import pytest

from dataset_build.src.continuation import recognise
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.records import Instruction, Response


def one(text, reference=None, source="a.csv", **more):
    return Instruction.create(text, reference=reference, source=source, **more)


def joined(new, existing):
    """Return what was found, and the instructions of both."""
    with InstructionStore(new) as store:
        reuse = recognise(store, lambda: iter(existing))
        store.merge(reuse.instructions(existing), keeps_metric=True)
        return reuse, list(store)


def test_an_instruction_whose_source_was_renamed_keeps_its_id_and_the_rest_it_has_now():
    old = one("q", "1", split="test", category="was")
    reuse, (found,) = joined([one("q", "1", "b.csv", category="is")], [old])
    assert (reuse.renamed, reuse.inherited) == (1, 0)
    assert (found.id, found.source, found.split, found.category) == (old.id, "a.csv", "test", "is")


def test_a_corrected_reference_takes_the_answers_over_and_the_old_row_gives_way():
    old, new = one("q", "1", split="validation", metric="number"), one("q", "2")
    reuse, (found,) = joined([new], [old])
    assert (reuse.renamed, reuse.inherited, reuse.replaced) == (0, 1, {old.id})
    assert (found.id, found.reference, found.split, found.metric) == (new.id, "2", "validation", "number")
    answers = [("r", Response(old.id, "e", text="x")), ("r", Response("other", "e", error="timeout: slow"))]
    assert list(reuse.responses(answers)) == [("r", Response(new.id, "e", text="x")), answers[1]]


def test_the_same_text_of_another_source_takes_the_answers_over_and_both_rows_stay():
    old, new = one("q", "1"), one("q", "2", "b.csv")
    for given in ([new], [old, new]):
        reuse, found = joined(given, [old])
        assert {instruction.id for instruction in found} == {old.id, new.id}
        ids = [response.instruction_id for _, response in reuse.responses([("r", Response(old.id, "e", text="x"))])]
        assert ids == [old.id, new.id]


def test_of_two_rows_the_one_that_only_lost_its_source_is_found_and_the_corrected_one_too():
    old = [one("q", "1"), one("q", "2"), one("p", "1", "c.csv"), one("p", "2", "c.csv")]
    new = [one("q", "2", "b.csv"), one("p", "3", "c.csv"), one("fresh")]
    reuse, found = joined(new, old)
    assert (reuse.renamed, reuse.inherited, reuse.replaced) == (1, 1, {old[2].id})
    assert {instruction.id for instruction in found} == {old[0].id, old[1].id, old[3].id, new[1].id, new[2].id}


def test_each_row_of_the_dataset_is_found_by_one_instruction():
    old, new = one("q", "1"), [one("q", "1", "b.csv"), one("q", "1", "c.csv")]
    reuse, found = joined(new, [old])
    assert [instruction.id for instruction in found] == [old.id, new[1].id]
    assert (reuse.renamed, reuse.inherited) == (1, 1)


@pytest.mark.parametrize("new", [[], [one("q", "1")], [one("q", "1"), one("other", "1")]])
def test_where_nothing_changed_nothing_is_found(new):
    old = [one("q", "1"), one("gone", "1")]
    reuse, found = joined(new, old)
    assert (reuse.renamed, reuse.heirs, reuse.replaced) == (0, {}, set())
    assert {instruction.id for instruction in found} == {instruction.id for instruction in [*old, *new]}
