import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import (
    Answer,
    ExpertCrashedError,
    ExpertRefusedError,
    Instruction,
)
from dataset_build.src.experts.local_model import Row, Writing
from dataset_build.src.experts.micro_batches import MicroBatches
from dataset_build.src.experts.transformers_local import TransformersLocalExpert
from tests.tiny_models import PAIRS

QUESTIONS = [Instruction.create(question) for question, _ in PAIRS]
RIGHT = [answer for _, answer in PAIRS]
#: Of very different lengths, and none twice.
MIXED = [Instruction.create(f"{n} " + "and so on " * (n * 7 % 12)) for n in range(40)]


def make(folder: Path, **options: Any) -> TransformersLocalExpert:
    return TransformersLocalExpert("llama", str(folder), **{"max_new_tokens": 8, **options})


def watch(expert: TransformersLocalExpert) -> list[list[Row]]:
    """Return the list in which every micro-batch of `expert` will be."""
    local, seen = expert._load(), []
    generate = local.generate

    def noting(rows: list[Row], writing: Writing) -> Any:
        seen.append(list(rows))
        return generate(rows, writing)

    local.generate = noting  # type: ignore[method-assign]
    return seen


def padded(batches: list[list[Row]]) -> int:
    return sum(len(batch) * max(len(row.tokens) for row in batch) for batch in batches)


def fails_above(expert: TransformersLocalExpert, size: int, problem: Callable[[], Exception]) -> list[int]:
    """Make the model run out of memory with more than `size` rows, and return the list of sizes that were tried."""
    model, tried = expert._load()._model, []
    generate = model.generate

    def limited(input_ids: Any, **options: Any) -> Any:
        tried.append(len(input_ids))
        if len(input_ids) > size:
            raise problem()
        return generate(input_ids=input_ids, **options)

    model.generate = limited
    return tried


def cuda_error() -> Exception:
    import torch

    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def cpu_error() -> Exception:
    return RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 9999 bytes. Error code 12 (Cannot allocate memory)"
    )


def windows_error() -> Exception:
    return RuntimeError("[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")


OUT_OF_MEMORY = [cuda_error, cpu_error, windows_error, MemoryError]


def test_results_come_back_in_the_order_of_the_instructions(tiny_llama_dir: Path):
    expert = make(tiny_llama_dir, batch_rows=2)
    seen = watch(expert)
    answers = expert.answer_batch([*QUESTIONS, *reversed(QUESTIONS)])
    assert [answer.text for answer in answers] == [*RIGHT, *reversed(RIGHT)]
    assert len(seen) == 6


def test_sorting_by_length_pads_less_and_changes_no_answer(tiny_llama_dir: Path):
    expert = make(tiny_llama_dir, batch_rows=8)
    seen = watch(expert)
    together = expert.answer_batch(MIXED)
    sorted_tokens = padded(seen)
    seen.clear()
    in_data_order = [expert.answer_batch(MIXED[n : n + 8]) for n in range(0, len(MIXED), 8)]
    assert sorted_tokens < 0.75 * padded(seen)
    assert [answer.text for answer in together] == [answer.text for part in in_data_order for answer in part]


@pytest.mark.parametrize(("batch_tokens", "batch_rows"), [(1, 64), (60, 64), (100, 3), (4096, 1), (4096, 64)])
def test_greedy_answers_do_not_depend_on_how_they_were_batched(
    tiny_llama_dir: Path, batch_tokens: int, batch_rows: int
):
    expert = make(tiny_llama_dir, batch_tokens=batch_tokens, batch_rows=batch_rows)
    seen = watch(expert)
    assert [answer.text for answer in expert.answer_batch(QUESTIONS)] == RIGHT
    for batch in seen:
        assert len(batch) <= batch_rows
        assert len(batch) == 1 or len(batch) * (max(len(row.tokens) for row in batch) + 8) <= batch_tokens


def test_answers_arrive_micro_batch_by_micro_batch_the_longest_first(tiny_llama_dir: Path):
    expert = make(tiny_llama_dir, batch_rows=4)
    seen = watch(expert)
    arriving = expert.iter_answers(MIXED)
    numbers = [next(arriving)[0] for _ in range(4)]
    assert len(seen) == 1
    lengths = [len(instruction.text) for instruction in MIXED]
    assert [lengths[number] for number in numbers] == sorted(lengths, reverse=True)[:4]
    numbers += [number for number, _ in arriving]
    assert sorted(numbers) == list(range(len(MIXED)))


def test_an_encoder_decoder_model_is_padded_at_the_end(tiny_t5_dir: Path):
    expert = make(tiny_t5_dir)
    inputs = expert._load()._padded([Row([5, 6, 7]), Row([8])])
    assert inputs["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("problem", OUT_OF_MEMORY)
def test_out_of_memory_halves_the_micro_batch_and_remembers_what_fitted(
    tiny_llama_dir: Path, problem: Callable[[], Exception], caplog: pytest.LogCaptureFixture
):
    expert = make(tiny_llama_dir)
    tried = fails_above(expert, 2, problem)
    same = [Instruction.create(f"Capital of France{n}?") for n in range(6)]
    with caplog.at_level(logging.WARNING):
        answers = expert.answer_batch(same)
    assert all(isinstance(answer, Answer) for answer in answers)
    assert tried == [6, 3, 1, 1, 1, 1, 1, 1]
    assert "Out of memory with 6 rows" in caplog.text
    tried.clear()
    assert expert.answer_batch(QUESTIONS)[2].text == "Paris"
    assert max(tried) <= 2


@pytest.mark.parametrize("problem", OUT_OF_MEMORY)
def test_one_instruction_too_big_for_the_memory_is_its_own_error_and_the_others_go_on(
    tiny_llama_dir: Path, problem: Callable[[], Exception]
):
    expert = make(tiny_llama_dir)
    model = expert._load()._model
    generate = model.generate

    def limited(input_ids: Any, **options: Any) -> Any:
        if input_ids.numel() > 100:
            raise problem()
        return generate(input_ids=input_ids, **options)

    model.generate = limited
    first, *others = expert.answer_batch([Instruction.create("far too long " * 10), *QUESTIONS])
    assert isinstance(first, ExpertRefusedError)
    assert first.kind == "out_of_memory"
    assert [answer.text for answer in others] == RIGHT


#: Run in a process of its own, whose memory is then limited to a little more than it has.
STARVED = """
import resource, sys
import torch
from dataset_build import Instruction
from dataset_build.src.experts.transformers_local import TransformersLocalExpert
torch.set_num_threads(1)
rows = [Instruction.create(f"{n} " + "ab" * 90) for n in range(400)]
options = {"max_new_tokens": 4, "attn_implementation": "eager", "device": "cpu"}
expert = TransformersLocalExpert("starved", sys.argv[1], batch_tokens=10**9, batch_rows=400, **options)
expert.answer_batch(rows[:2])
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 160 * 2**20, resource.RLIM_INFINITY))
answers = expert.answer_batch(rows)
print(expert._batches.max_tokens, sum(getattr(answer, "text", None) is not None for answer in answers))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process by its address space")
def test_a_process_that_really_runs_out_of_memory_answers_everything(tiny_llama_dir: Path):
    done = subprocess.run([sys.executable, "-c", STARVED, str(tiny_llama_dir)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    max_tokens, answered = map(int, done.stdout.split())
    assert max_tokens < 400 * 200
    assert answered == 400


def test_another_failure_of_the_model_is_not_taken_for_a_lack_of_memory(tiny_llama_dir: Path):
    expert = make(tiny_llama_dir)
    tried = fails_above(expert, 0, lambda: RuntimeError("shapes\ndo not match"))
    answers = expert.answer_batch(QUESTIONS)
    assert tried == [6]
    assert {str(answer) for answer in answers} == {"llama: RuntimeError: shapes do not match"}
    assert all(isinstance(answer, ExpertCrashedError) for answer in answers)


def test_closing_ends_an_iteration_after_its_micro_batch_and_loads_nothing_again(tiny_llama_dir: Path):
    expert = make(tiny_llama_dir, batch_rows=1)
    seen = watch(expert)
    arriving = expert.iter_answers(QUESTIONS)
    next(arriving)
    asyncio.run(expert.aclose())
    rest = [result for _, result in arriving]
    assert len(rest) == len(QUESTIONS) - 1
    assert {result.kind for result in rest} == {"closed"}
    assert len(seen) == 1
    assert expert._loaded is None


@settings(deadline=None)
@given(st.lists(st.integers(0, 300), max_size=40), st.integers(1, 2000), st.integers(1, 20), st.integers(0, 8))
def test_every_row_has_its_turn_once_and_no_batch_passes_the_bounds(
    widths: list[int], max_tokens: int, max_rows: int, fitting: int
):
    batches = MicroBatches(max_tokens, max_rows)
    done, failed = [], []
    for rows, result in batches.run(widths, lambda rows: rows if len(rows) <= fitting else None):
        assert len(rows) == 1 or len(rows) * max(widths[n] for n in rows) <= max_tokens
        assert len(rows) <= max_rows
        (failed if result is None else done).extend(rows)
    assert sorted(done + failed) == list(range(len(widths)))
    assert failed == [] or fitting == 0
    assert batches.max_tokens <= max_tokens
