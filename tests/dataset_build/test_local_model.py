import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from dataset_build import (
    Answer,
    ConfigError,
    ExpertRefusedError,
    Instruction,
    MissingDependencyError,
)
from dataset_build.src.experts.local_model import LocalModel
from dataset_build.src.experts.transformers_local import TransformersLocalExpert
from tests.tiny_models import PAIRS

QUESTIONS = [Instruction.create(question) for question, _ in PAIRS]
RIGHT = [answer for _, answer in PAIRS]
#: Of different lengths, and none twice.
MIXED = [Instruction.create(f"{n} " + "and so on " * (n * 7 % 12)) for n in range(8)]


def make(folder: Path, **options: Any) -> TransformersLocalExpert:
    return TransformersLocalExpert("llama", str(folder), **{"max_new_tokens": 8, **options})


def test_samples_depend_on_seed_and_instruction_and_not_on_the_batch(tiny_llama_dir: Path):
    def sample(seed: int, **options: Any) -> list[Any]:
        expert = make(tiny_llama_dir, temperature=1.5, seed=seed, n=3, **options)
        results = expert.answer_batch(MIXED)
        return [result.samples if isinstance(result, Answer) else str(result) for result in results]

    together = sample(1)
    assert sample(1, batch_rows=1) == sample(1, batch_rows=5) == together
    assert sample(2) != together
    answered = next(n for n, result in enumerate(together) if isinstance(result, tuple))
    alone = asyncio.run(make(tiny_llama_dir, temperature=1.5, seed=1, n=3).answer(MIXED[answered]))
    assert alone.samples == together[answered]


def test_every_sample_is_kept_and_paid_and_the_first_is_the_text(tiny_llama_dir: Path):
    expert = make(tiny_llama_dir, temperature=8.0, n=4)
    local: LocalModel = expert._load()
    for instruction, answer in zip(QUESTIONS, expert.answer_batch(QUESTIONS), strict=True):
        assert isinstance(answer, Answer)
        assert len(set(answer.samples)) == 4
        assert answer.text == answer.samples[0]
        assert answer.prompt_tokens == len(local.text.encode([local.text.prompt(instruction.text, None)])[0])
        assert 4 <= answer.completion_tokens <= 4 * 8
        assert answer.cost > 0


def test_a_single_answer_has_no_samples(tiny_llama_dir: Path):
    assert make(tiny_llama_dir).answer_batch(QUESTIONS)[0].samples == ()


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}])
def test_the_likeliest_token_alone_is_the_greedy_answer(tiny_llama_dir: Path, options: dict):
    expert = make(tiny_llama_dir, temperature=3.0, **options)
    assert [answer.text for answer in expert.answer_batch(QUESTIONS)] == RIGHT


def test_tokens_are_drawn_with_the_probabilities_of_the_model():
    import torch

    from dataset_build.src.experts.token_choice import SeededChoice

    wanted = torch.tensor([0.5, 0.0, 0.3, 0.2])
    rows = 4000
    choice = SeededChoice([str(n) for n in range(rows)], steps=1, start=3, device=torch.device("cpu"))
    scores = choice(torch.zeros(rows, 3, dtype=torch.long), wanted.log().repeat(rows, 1))
    drawn = torch.bincount(scores.argmax(dim=1), minlength=4) / rows
    assert torch.isfinite(scores).sum() == rows
    assert drawn[1] == 0
    assert torch.allclose(drawn, wanted, atol=0.03)


@pytest.mark.parametrize(
    ("stop", "text"), [("is", "Par"), (["zz", "i", "s"], "Par"), ("x", "Paris"), ("</s>", "Paris")]
)
def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(tiny_llama_dir: Path, stop: Any, text: str):
    expert = make(tiny_llama_dir, stop=stop)
    tokens = expert._load().text.encode(["Paris</s>"])[0]
    first, second = expert.answer_batch([QUESTIONS[2], QUESTIONS[0]])
    assert (first.text, first.finish_reason) == (text, "stop")
    assert second.text == "2"
    assert first.completion_tokens == len(tokens) or text == "Par"
    assert first.completion_tokens <= len(tokens)


def test_a_stop_string_stops_the_writing_itself(tiny_llama_dir: Path):
    expert = make(tiny_llama_dir, stop="o")
    model = expert._load()._model
    generate, widths = model.generate, []

    def watched(**options: Any) -> Any:
        output = generate(**options)
        widths.append(output.shape[1] - options["input_ids"].shape[1])
        return output

    model.generate = watched
    (answer,) = expert.answer_batch([QUESTIONS[3]])
    assert answer.text == "T"
    assert widths == [answer.completion_tokens]


def test_a_stop_string_in_the_prompt_stops_nothing(tiny_llama_dir: Path):
    stopping, plain = (make(tiny_llama_dir, stop=stop).answer_batch(QUESTIONS) for stop in ("?", None))
    assert [answer.text for answer in stopping] == RIGHT
    assert [answer.completion_tokens for answer in stopping] == [answer.completion_tokens for answer in plain]


def test_an_answer_without_text_is_an_error_that_says_what_was_used(tiny_llama_dir: Path):
    (answer,) = make(tiny_llama_dir, stop="P").answer_batch([QUESTIONS[2]])
    assert isinstance(answer, ExpertRefusedError)
    assert answer.kind == "empty_response"
    assert answer.usage.completion_tokens == 1


@pytest.mark.parametrize("device_map", ["auto", {"": "cpu"}])
def test_a_device_map_places_the_model(tiny_llama_dir: Path, device_map: Any):
    import torch

    expert = make(tiny_llama_dir, device_map=device_map, device=None)
    assert [answer.text for answer in expert.answer_batch(QUESTIONS)] == RIGHT
    if not torch.cuda.is_available():
        assert expert._load().cores == torch.get_num_threads()


def test_a_device_map_without_accelerate_is_the_line_that_installs_it(
    tiny_llama_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dataset_build.src.experts.transformers_local.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        make(tiny_llama_dir, device_map="auto")


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_bfloat16_and_the_kind_of_attention_can_be_chosen(tiny_llama_dir: Path, attention: str):
    import torch

    expert = make(tiny_llama_dir, dtype="bfloat16", attn_implementation=attention, device="cpu")
    assert [answer.text for answer in expert.answer_batch(QUESTIONS)] == RIGHT
    model = expert._load()._model
    assert model.dtype == torch.bfloat16
    assert model.config._attn_implementation == attention


def test_a_cpu_computes_in_single_precision_unless_told_otherwise(tiny_llama_dir: Path):
    import torch

    assert make(tiny_llama_dir, device="cpu")._load()._model.dtype == torch.float32


@pytest.mark.parametrize("major", [7, 8])
def test_a_gpu_computes_in_bfloat16_where_it_can(major: int, monkeypatch: pytest.MonkeyPatch):
    import torch

    from dataset_build.src.experts.local_model import _dtype

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (major, 0))
    device = torch.device("cuda")
    assert _dtype("auto", device, object()) == (torch.bfloat16 if major == 8 else "auto")
    assert _dtype("float16", device, object()) == torch.float16
    quantised = type("Config", (), {"quantization_config": {}})()
    assert _dtype("auto", device, quantised) == "auto"


def test_an_absent_device_is_found_before_the_build(tiny_llama_dir: Path):
    with pytest.raises(ConfigError, match="torch finds"):
        make(tiny_llama_dir, device="cuda:77").check()
    with pytest.raises(ConfigError, match="No device 'gpu'"):
        make(tiny_llama_dir, device="gpu").check()
    make(tiny_llama_dir, device="cpu").check()
    make(tiny_llama_dir).check()


def test_the_chat_template_gets_its_options(tiny_llama_dir: Path, tmp_path: Path):
    folder = shutil.copytree(tiny_llama_dir, tmp_path / "thinking")
    (folder / "chat_template.jinja").write_text(
        "<s><|user|>{{ messages[0]['content'] }}{% if enable_thinking %}, think{% endif %}<|assistant|>"
    )
    texts = {
        value: make(folder, chat_template_kwargs={"enable_thinking": value})._text().prompt("Hi", None)
        for value in (True, False)
    }
    assert texts == {True: "<s><|user|>Hi, think<|assistant|>", False: "<s><|user|>Hi<|assistant|>"}


def test_an_estimate_counts_the_prompt_as_the_model_will(tiny_llama_dir: Path):
    expert = make(tiny_llama_dir, system_prompt="Be kind.", n=2, temperature=1.0)
    estimates = [expert.estimate(question) for question in QUESTIONS]
    assert expert._loaded is None  # no weights for an estimate
    for estimate, answer in zip(estimates, expert.answer_batch(QUESTIONS), strict=True):
        assert isinstance(answer, Answer)
        assert estimate.prompt_tokens == estimate.most_prompt_tokens == answer.prompt_tokens
        assert answer.completion_tokens <= estimate.most_completion_tokens == 16
    assert estimates == [expert.estimate(question) for question in QUESTIONS]


def test_without_its_tokenizer_an_estimate_is_a_guess_with_a_bound(tiny_llama_dir: Path, tmp_path: Path):
    folder = shutil.copytree(tiny_llama_dir, tmp_path / "bare")
    (folder / "tokenizer.json").write_text("{")
    guess = make(folder, system_prompt="Be kind.").estimate(QUESTIONS[0])
    exact = make(tiny_llama_dir, system_prompt="Be kind.").estimate(QUESTIONS[0])
    assert 0 < guess.prompt_tokens <= guess.most_prompt_tokens
    assert guess.most_prompt_tokens >= exact.prompt_tokens


def test_the_fingerprint_follows_what_decides_an_answer_and_nothing_else(tiny_llama_dir: Path):
    first = make(tiny_llama_dir, temperature=1.0).fingerprint()
    for option in ({"top_p": 0.5}, {"top_k": 5}, {"n": 2}, {"stop": "x"}, {"chat_template_kwargs": {"a": 1}}):
        assert make(tiny_llama_dir, temperature=1.0, **option).fingerprint() != first
    for option in ({"batch_tokens": 5}, {"batch_rows": 5}, {"device_map": "auto"}, {"device": "cpu"}):
        assert make(tiny_llama_dir, temperature=1.0, **option).fingerprint() == first
    assert make(tiny_llama_dir, top_p=0.5).fingerprint() == make(tiny_llama_dir).fingerprint()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 2}, "set a temperature"),
        ({"n": 0}, "n is 0"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop": ["a", ""]}, "stop string"),
        ({"batch_rows": 0}, "batch_rows"),
        ({"batch_tokens": 0}, "batch_tokens"),
        ({"device": "cpu", "device_map": "auto"}, "either device or device_map"),
    ],
)
def test_options_out_of_range_are_refused(tiny_llama_dir: Path, options: dict, said: str):
    with pytest.raises(ConfigError, match=said):
        make(tiny_llama_dir, **options)
