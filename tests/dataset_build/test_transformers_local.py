import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataset_build import (
    Answer,
    ChatCall,
    ConfigError,
    ExpertCrashedError,
    ExpertRefusedError,
    Instruction,
    MissingDependencyError,
    Price,
    load_expert,
    parse_expert,
)
from dataset_build.src.experts.local_model import load_model
from dataset_build.src.experts.model_place import find_model
from dataset_build.src.experts.model_text import ModelText
from dataset_build.src.experts.transformers_local import TransformersLocalExpert
from tests.tiny_models import PAIRS

QUESTIONS = [Instruction.create(question) for question, _ in PAIRS]
RIGHT = [answer for _, answer in PAIRS]


@pytest.fixture(scope="module")
def llama(tiny_llama_dir: Path) -> TransformersLocalExpert:
    return TransformersLocalExpert("llama", str(tiny_llama_dir), max_new_tokens=12, price=Price(per_core_hour=3.6))


def texts(answers: list) -> list[str]:
    return [answer.text for answer in answers]


def test_a_causal_model_answers_a_batch_of_different_lengths(llama: TransformersLocalExpert):
    assert texts(llama.answer_batch(QUESTIONS)) == RIGHT


def test_a_batch_and_single_calls_agree(llama: TransformersLocalExpert):
    assert [asyncio.run(llama.answer(question)).text for question in QUESTIONS] == RIGHT


def test_an_encoder_decoder_model_answers_too(tiny_t5_dir: Path):
    expert = TransformersLocalExpert("t5", str(tiny_t5_dir), max_new_tokens=12)
    assert texts(expert.answer_batch(QUESTIONS)) == RIGHT


def test_tokens_are_counted_without_the_padding(llama: TransformersLocalExpert, tiny_llama_dir: Path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama_dir)
    for question, right, answer in zip(QUESTIONS, RIGHT, llama.answer_batch(QUESTIONS), strict=True):
        assert isinstance(answer, Answer)
        prompt = f"<s><|user|>{question.text}<|assistant|>"
        assert answer.prompt_tokens == len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        assert answer.completion_tokens == len(tokenizer(f"{right}</s>", add_special_tokens=False)["input_ids"])
        assert answer.finish_reason == "stop"


def test_an_answer_cut_short_says_so(tiny_llama_dir: Path):
    expert = TransformersLocalExpert("short", str(tiny_llama_dir), max_new_tokens=1)
    (answer,) = expert.answer_batch(QUESTIONS[:1])
    assert isinstance(answer, Answer)
    assert (answer.finish_reason, answer.completion_tokens) == ("length", 1)


def test_time_is_priced_and_shared_out_over_the_batch(llama: TransformersLocalExpert):
    import torch

    for answer in llama.answer_batch(QUESTIONS):
        assert isinstance(answer, Answer)
        assert answer.latency_s
        assert answer.latency_s > 0
        assert answer.cost == pytest.approx(answer.latency_s * torch.get_num_threads() * 3.6 / 3600)


def test_tokens_are_priced_when_the_price_says_so(tiny_llama_dir: Path):
    expert = TransformersLocalExpert("llama", str(tiny_llama_dir), price=Price(1.0, 10.0), max_new_tokens=12)
    (answer,) = expert.answer_batch(QUESTIONS[:1])
    assert isinstance(answer, Answer)
    assert answer.cost == pytest.approx((answer.prompt_tokens + 10 * answer.completion_tokens) / 1e6)


def test_what_does_not_fit_is_refused_and_the_rest_of_the_batch_answered(llama: TransformersLocalExpert):
    first, second = llama.answer_batch([Instruction.create("far too long " * 200), QUESTIONS[0]])
    assert isinstance(first, ExpertRefusedError)
    assert first.kind == "too_long"
    assert isinstance(second, Answer)
    assert second.text == RIGHT[0]


def test_sampling_repeats_with_its_seed_and_leaves_the_global_generator_alone(tiny_llama_dir: Path):
    import torch

    def sample(seed: int) -> list[str]:
        expert = TransformersLocalExpert("hot", str(tiny_llama_dir), temperature=5.0, seed=seed, max_new_tokens=12)
        return texts(expert.answer_batch(QUESTIONS))

    before = torch.random.get_rng_state()
    assert sample(1) == sample(1) != sample(2)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_system_prompt_goes_through_the_chat_template(tiny_llama_dir: Path):
    local = load_model(find_model(str(tiny_llama_dir)))
    assert local.text.prompt("Hi", "Be kind.") == "<s><|system|>Be kind.<|user|>Hi<|assistant|>"
    assert local.text.prompt("Hi", None) == "<s><|user|>Hi<|assistant|>"


def test_a_template_without_a_system_role_gets_it_before_the_instruction(tiny_llama_dir: Path, tmp_path: Path):
    folder = shutil.copytree(tiny_llama_dir, tmp_path / "strict")
    template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "[{{ messages[0]['content'] }}]"
    )
    (folder / "chat_template.jinja").write_text(template)
    assert load_model(find_model(str(folder))).text.prompt("Hi", "Be kind.") == "[Be kind.\n\nHi]"


def test_without_a_chat_template_the_system_prompt_is_plain_text(tiny_t5_dir: Path):
    assert load_model(find_model(str(tiny_t5_dir))).text.prompt("Hi", "Be kind.") == "Be kind.\n\nHi"


def test_the_shorthand_names_the_expert_after_its_folder(tiny_llama_dir: Path):
    (config,) = parse_expert(f"transformers_local:{tiny_llama_dir}")
    expert = load_expert(config)
    assert isinstance(expert, TransformersLocalExpert)
    assert expert.name == "tiny-llama"


def test_the_fingerprint_follows_options_and_files(tiny_llama_dir: Path, tmp_path: Path):
    folder = str(shutil.copytree(tiny_llama_dir, tmp_path / "copy"))
    first = TransformersLocalExpert("a", folder).fingerprint()
    assert TransformersLocalExpert("b", folder).fingerprint() == first
    assert TransformersLocalExpert("a", folder, max_new_tokens=7).fingerprint() != first
    (tmp_path / "copy" / "model.safetensors").touch()
    assert TransformersLocalExpert("a", folder).fingerprint() != first


def test_a_model_that_cannot_write_text_is_refused_before_anything_is_loaded(tiny_bert_dir: Path):
    with pytest.raises(ConfigError, match="does not write text"):
        TransformersLocalExpert("bert", str(tiny_bert_dir))


@pytest.mark.parametrize(
    ("model", "said"),
    [("./absent", "No such model folder"), ("a/b/c", "No such model folder"), ("not a model!", "hub id")],
)
def test_an_absent_model_is_one_line(model: str, said: str):
    with pytest.raises(ConfigError, match=said) as caught:
        TransformersLocalExpert("x", model)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_and_options_out_of_range_are_refused(tmp_path: Path, tiny_llama_dir: Path):
    with pytest.raises(ConfigError, match=r"no config\.json"):
        TransformersLocalExpert("x", str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        TransformersLocalExpert("x", str(tmp_path))
    with pytest.raises(ConfigError, match="max_new_tokens"):
        TransformersLocalExpert("x", str(tiny_llama_dir), max_new_tokens=0)


def test_damaged_weights_are_an_error_of_the_call_and_never_an_answer(tiny_llama_dir: Path, tmp_path: Path):
    folder = shutil.copytree(tiny_llama_dir, tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"nothing")
    expert = TransformersLocalExpert("damaged", str(folder))
    for _ in range(2):  # it is tried once, and the failure is remembered
        with pytest.raises(ExpertCrashedError, match="Cannot load model") as caught:
            expert.answer_batch(QUESTIONS)
        assert caught.value.kind == "not_loaded"


def test_a_failure_inside_the_model_is_a_crash_of_the_expert(tiny_llama_dir: Path):
    import torch

    expert = TransformersLocalExpert("broken", str(tiny_llama_dir), max_new_tokens=4)
    local = expert._load()
    with torch.no_grad():
        local._model.model.embed_tokens.weight = torch.nn.Parameter(torch.zeros(2, 2))
    for answer in expert.answer_batch(QUESTIONS):
        assert isinstance(answer, ExpertCrashedError)
        assert "\n" not in str(answer)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a hub that is out of reach."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_cached_hub_model_needs_no_hub(hub_cache: Path, tiny_llama_dir: Path, capfd: pytest.CaptureFixture[str]):
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = hub_cache / "models--org--tiny"
    shutil.copytree(tiny_llama_dir, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    expert = TransformersLocalExpert("cached", "org/tiny", max_new_tokens=12)
    assert texts(expert.answer_batch(QUESTIONS)) == RIGHT
    assert "org/tiny@main" in expert.fingerprint()
    assert capfd.readouterr().err == ""


def test_a_half_cached_model_is_asked_for_at_the_hub_and_fails_in_one_line(hub_cache: Path, tiny_llama_dir: Path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = hub_cache / "models--org--tiny" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    shutil.copy(tiny_llama_dir / "config.json", snapshot)
    (hub_cache / "models--org--tiny" / "refs").mkdir()
    (hub_cache / "models--org--tiny" / "refs" / "main").write_text(commit)
    with pytest.raises(ExpertCrashedError, match="Cannot load model 'org/tiny'") as caught:
        TransformersLocalExpert("half", "org/tiny").answer_batch(QUESTIONS)
    assert "\n" not in str(caught.value)


def test_a_model_the_hub_cannot_give_is_refused_at_once(hub_cache: Path):
    with pytest.raises(ConfigError, match="Cannot load model 'org/absent'") as caught:
        TransformersLocalExpert("absent", "org/absent")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_package_is_the_line_that_installs_it(package: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dataset_build.src.experts.model_place.find_spec", lambda name: None if name == package else 1)
    with pytest.raises(MissingDependencyError, match=r'pip install "moe-toolkit\[train\]"'):
        TransformersLocalExpert("x", "org/name")


def test_an_empty_batch_has_no_answers_and_closing_lets_go(tiny_llama_dir: Path):
    expert = TransformersLocalExpert("llama", str(tiny_llama_dir), max_new_tokens=12)
    assert expert.answer_batch([]) == []
    expert.answer_batch(QUESTIONS[:1])
    asyncio.run(expert.aclose())
    assert expert._loaded is None


def test_a_conversation_goes_through_the_chat_template(llama: TransformersLocalExpert, tiny_llama_dir: Path):
    question, right = PAIRS[0]
    answer = asyncio.run(llama.chat(ChatCall.of(question)))
    assert answer.text == right
    assert answer == replace(
        llama.answer_batch([Instruction.create(question)])[0], latency_s=answer.latency_s, cost=answer.cost
    )
    cut = asyncio.run(llama.chat(ChatCall(({"role": "user", "content": question},), {"max_tokens": 1, "x": 1})))
    assert (cut.completion_tokens, cut.finish_reason) == (1, "length")
    model = ModelText(find_model(str(tiny_llama_dir), None), template_options={}, local_files_only=True)
    turns = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"})
    text = model.conversation(turns, "Be short.")
    assert text.index("Be short.") < text.index("a") < text.index("b") < text.index("c")
    system = ({"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}, *turns)
    assert "Be short." not in model.conversation(system, "Be short.")
    assert "Be kind." in model.conversation(system, "Be short.")
    estimate = llama.estimate_chat(ChatCall(turns, {"max_tokens": 3}))
    assert (estimate.prompt_tokens, estimate.most_completion_tokens) == (
        len(model.encode([model.conversation(turns, None)])[0]),
        3,
    )


@pytest.mark.parametrize(
    "options", [{"temperature": -1}, {"top_p": 2}, {"temperature": True}, {"stop": [1]}, {"stop": 5}]
)
def test_an_option_that_a_model_cannot_be_asked_for_is_refused(llama: TransformersLocalExpert, options: Any):
    with pytest.raises(ExpertRefusedError) as caught:
        asyncio.run(llama.chat(ChatCall(({"role": "user", "content": "hi"},), options)))
    assert caught.value.kind == "bad_request"
    assert next(iter(options)) in caught.value.message
