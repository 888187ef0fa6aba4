"""A stand-in takes the place of the package, which the suite does not need; it raises and returns as LiteLLM does."""

import asyncio
import os
import sys
import traceback
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dataset_build import Answer, ChatCall, ConfigError, ExpertError, Instruction, MissingDependencyError
from dataset_build.src.config import ExpertConfig
from dataset_build.src.experts.litellm_sdk import LiteLLMExpert
from dataset_build.src.model_loader import load_expert
from dataset_build.src.records import Usage

KEY = "sk-very-secret-0123456789"
QUESTION = Instruction.create("What is 1 + 1?")
REPLY: dict[str, Any] = {
    "model": "claude-served",
    "choices": [{"message": {"content": "2", "role": "assistant"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}},
}


class Fake(ModuleType):
    """The part of the package that is used."""

    def __init__(self) -> None:
        super().__init__("litellm")
        self.result: Any = REPLY
        self.calls: list[dict[str, Any]] = []
        self.suppress_debug_info = False
        self.prices_from_network = os.environ.get("LITELLM_LOCAL_MODEL_COST_MAP") != "True"

    async def acompletion(self, **arguments: Any) -> Any:
        self.calls.append(arguments)
        if isinstance(self.result, Exception):
            raise self.result
        return SimpleNamespace(model_dump=lambda: self.result)


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setitem(sys.modules, "litellm", fake)
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    return fake


def error(*names: str, status: int | None = None, message: str = f"no, {KEY}", **attributes: Any) -> Exception:
    """Return an exception of a class with these ancestors, the nearest first."""
    kind: type[Exception] = Exception
    for name in reversed(names):
        kind = type(name, (kind,), {})
    problem = kind(message)
    for attribute, value in {"status_code": status, **attributes}.items():
        setattr(problem, attribute, value)
    return problem


def ask(**options: Any) -> Answer | ExpertError:
    try:
        return asyncio.run(LiteLLMExpert("claude", "anthropic/claude-x", **options).answer(QUESTION))
    except ExpertError as problem:
        return problem


def test_the_call_holds_what_was_configured_and_no_retries(litellm: Fake):
    answer = ask(
        api_key_env="TEST_KEY", base_url="http://x", system_prompt="Be short.", options={"seed": 1}, timeout_s=9
    )
    assert answer == Answer("2", 11, 2, model="claude-served", finish_reason="stop", cached_tokens=3)
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": QUESTION.text}]
    sampling = {"temperature": 0.0, "max_tokens": 1024, "seed": 1}
    where = {"api_key": KEY, "base_url": "http://x", "timeout": 9, "num_retries": 0, "max_retries": 0}
    assert litellm.calls == [{"model": "anthropic/claude-x", "messages": messages, **sampling, **where}]
    assert litellm.suppress_debug_info
    ask(temperature=None, max_tokens=None)
    assert litellm.calls[1].keys() == {"model", "messages", "num_retries", "max_retries"}


def test_samples_a_provider_leaves_out_are_asked_for_again(litellm: Fake):
    answer = ask(n=3, temperature=1.0)
    assert isinstance(answer, Answer)
    assert (answer.samples, answer.completion_tokens) == (("2", "2", "2"), 6)
    assert [call.get("n") for call in litellm.calls] == [3, 2, None]


def test_tokens_it_makes_up_as_zero_are_estimated(litellm: Fake):
    litellm.result = {**REPLY, "usage": {"prompt_tokens": 0, "completion_tokens": 0}}
    answer = ask()
    assert isinstance(answer, Answer)
    assert answer.tokens_estimated
    assert answer.prompt_tokens


@pytest.mark.parametrize(
    ("failure", "kind", "retryable", "billed"),
    [
        (error("AuthenticationError", status=401), "auth", False, False),
        (error("BadRequestError", status=400), "bad_request", False, False),
        (error("NotFoundError", status=404), "bad_request", False, False),
        (error("ContentPolicyViolationError", "BadRequestError", status=400), "content_filter", False, False),
        (error("ContextWindowExceededError", "BadRequestError", status=400), "too_long", False, False),
        (error("PaymentRequiredError", "BadRequestError", status=400), "quota", False, False),
        (error("RateLimitError", status=429), "rate_limit", True, False),
        (error("RateLimitError", status=429, code="insufficient_quota"), "quota", False, False),
        (error("ServiceUnavailableError", status=503), "overloaded", True, False),
        (error("InternalServerError", status=500), "server_error", True, True),
        (error("Timeout", "APITimeoutError", "APIConnectionError", status=408), "timeout", True, True),
        (error("APIConnectionError", "APIError", status=500), "connection", True, True),
        (error("APIResponseValidationError", "APIError", status=500), "invalid_response", True, True),
        (error("JSONDecodeError"), "invalid_response", True, True),
        (TimeoutError(KEY), "timeout", True, True),
        (ConnectionResetError(KEY), "connection", True, True),
    ],
)
def test_every_exception_has_its_kind_and_never_shows_the_key(
    litellm: Fake, failure: Exception, kind: str, retryable: bool, billed: bool
):
    litellm.result = failure
    problem = ask(api_key_env="TEST_KEY")
    assert isinstance(problem, ExpertError)
    assert (problem.kind, problem.retryable, problem.may_be_billed) == (kind, retryable, billed)
    assert problem.__context__ is None
    assert KEY not in "".join(traceback.format_exception(problem)) + problem.as_field()


def test_the_pause_a_provider_asks_for_is_kept(litellm: Fake):
    litellm.result = error("RateLimitError", status=429, response=SimpleNamespace(headers={"Retry-After": "7"}))
    problem = ask()
    assert isinstance(problem, ExpertError)
    assert problem.retry_after_s == 7


def test_an_empty_answer_is_an_error_with_its_usage(litellm: Fake):
    litellm.result = {**REPLY, "choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}
    problem = ask()
    assert isinstance(problem, ExpertError)
    assert (problem.kind, problem.usage) == ("empty_response", Usage(11, 2, 3))


def test_it_is_loaded_by_name_and_knows_its_model_endpoint_and_estimate(litellm: Fake):
    config = {"provider": "litellm", "model": "anthropic/claude-x", "api_key_env": "TEST_KEY", "max_tokens": 5}
    expert = load_expert(ExpertConfig.model_validate(config))
    assert (expert.name, expert.model, expert.endpoint) == ("claude-x", "claude-x", "litellm  anthropic/claude-x")
    assert expert.estimate(QUESTION).most_completion_tokens == 5
    assert KEY not in expert.fingerprint() + repr(vars(expert))
    assert expert.fingerprint() != LiteLLMExpert("e", "anthropic/claude-x", max_tokens=5, temperature=1.0).fingerprint()
    expert.check()


def test_a_missing_key_is_said_before_a_build(litellm: Fake, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(ConfigError, match="TEST_KEY"):
        LiteLLMExpert("e", "m", api_key_env="TEST_KEY").check()
    problem = ask(api_key_env="TEST_KEY")
    assert isinstance(problem, ExpertError)
    assert problem.kind == "auth"


@pytest.mark.parametrize("options", [{"api_key": KEY}, {"num_retries": 3}, {"messages": []}])
def test_options_of_its_own_are_refused(litellm: Fake, options: dict[str, Any]):
    with pytest.raises(ConfigError) as caught:
        LiteLLMExpert("e", "m", options=options)
    assert KEY not in str(caught.value)


def test_without_the_package_the_install_line_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "moe-toolkit\[litellm\]"'):
        LiteLLMExpert("e", "openai/m")


def test_the_list_of_prices_is_not_fetched_from_the_network(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "")  # so that it is put back whatever the package does to it
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP")
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(MissingDependencyError):
        LiteLLMExpert("e", "openai/m")
    assert not Fake().prices_from_network


CHUNKS: list[dict[str, Any]] = [
    {"model": "claude-served", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "1 "}}]},
    {"choices": [{"index": 0, "delta": {"content": "+ 1"}, "finish_reason": "stop"}]},
    {"choices": [], "usage": REPLY["usage"]},
]


def streaming(fake: Fake, chunks: list[Any]) -> None:
    """Have the package return a stream."""

    async def acompletion(**arguments: Any) -> Any:
        fake.calls.append(arguments)

        async def stream() -> Any:
            for chunk in chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                yield SimpleNamespace(model_dump=lambda chunk=chunk: chunk)

        return stream()

    fake.acompletion = acompletion  # type: ignore[method-assign]


async def pieces_of(call: ChatCall) -> tuple[str, Any]:
    text, expert = "", LiteLLMExpert("claude", "anthropic/claude-x", api_key_env="TEST_KEY", system_prompt="Be short.")
    try:
        async for item in expert.stream_chat(call):
            if isinstance(item, Answer):
                return text, item
            text += item.text
    except ExpertError as problem:
        return text, problem
    return text, None


def test_a_conversation_is_passed_on_but_for_what_would_send_it_elsewhere(litellm: Fake):
    options = {"tools": [{"a": 1}], "temperature": 0.5, "max_completion_tokens": 5, "seed": None}
    hostile = {"api_base": "http://evil", "base_url": "http://evil", "api_key": "x", "custom_llm_provider": "y"}
    messages = ({"role": "system", "content": "Be kind."}, {"role": "user", "content": [{"type": "text"}]})
    expert = LiteLLMExpert("claude", "anthropic/claude-x", system_prompt="Be short.")
    answer = asyncio.run(expert.chat(ChatCall(messages, {**options, **hostile, "mock_response": "z"})))
    (sent,) = litellm.calls
    assert sent["messages"] == list(messages)
    assert (sent["tools"], sent["temperature"], sent["max_tokens"], sent["seed"]) == ([{"a": 1}], 0.5, 5, None)
    assert not {*hostile, "mock_response", "max_completion_tokens"} & sent.keys()
    assert answer.choice == {**REPLY["choices"][0]}
    assert (answer.text, answer.cached_tokens, answer.model) == ("2", 3, "claude-served")
    assert expert.capabilities.tools


def test_a_conversation_is_streamed_with_its_usage_last(litellm: Fake):
    streaming(litellm, CHUNKS)
    text, answer = asyncio.run(pieces_of(ChatCall.of("What is 1 + 1?")))
    assert (text, answer.text, answer.prompt_tokens, answer.finish_reason) == ("1 + 1", "1 + 1", 11, "stop")
    assert (litellm.calls[0]["stream"], litellm.calls[0]["messages"][0]["content"]) == (True, "Be short.")


def test_a_stream_of_the_package_that_fails_is_an_error_without_the_key(litellm: Fake):
    streaming(litellm, [CHUNKS[0], error("APIConnectionError")])
    text, problem = asyncio.run(pieces_of(ChatCall.of("hi")))
    assert (text, problem.kind, problem.may_be_billed) == ("1 ", "connection", True)
    assert KEY not in "".join(traceback.format_exception(problem))
    streaming(litellm, CHUNKS[:1])
    assert asyncio.run(pieces_of(ChatCall.of("hi")))[1].kind == "invalid_response"
