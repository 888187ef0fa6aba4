import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import Capabilities, ChatCall, ConfigError, Needs, missing, tools
from dataset_build.src.config import ExpertConfig, validate
from dataset_build.src.experts.capabilities import most_prompt_tokens, prompt_tokens
from dataset_build.src.experts.openai_compatible import OpenAICompatibleExpert
from dataset_build.src.model_loader import expert_configs, load_expert
from dataset_build.src.tokens import count_tokens

USER = {"role": "user", "content": "hello there"}
TOOL = {"type": "function", "function": {"name": "f"}}
CONFIG = {"provider": "openai_compatible", "base_url": "http://x/v1", "model": "m"}


def part(kind: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "what is this?"}, {"type": kind, **more}]}


@pytest.mark.parametrize(
    ("messages", "options", "needed"),
    [
        ((USER,), {}, set()),
        ((USER,), {"temperature": 0.5, "response_format": {"type": "text"}, "tools": []}, set()),
        ((USER,), {"tools": [TOOL]}, {"tools"}),
        ((USER,), {"functions": [{"name": "f"}]}, {"tools"}),
        ((USER, {"role": "tool", "tool_call_id": "1", "content": "x"}), {}, {"tools"}),
        ((USER, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}), {}, {"tools"}),
        ((part("image_url", image_url={"url": "http://x/y.png"}),), {}, {"vision"}),
        ((part("input_audio", input_audio={"data": "AA", "format": "wav"}),), {}, {"audio"}),
        ((USER,), {"modalities": ["text", "audio"]}, {"audio"}),
        ((USER,), {"response_format": {"type": "json_object"}}, {"json_mode"}),
        ((USER,), {"response_format": {"type": "json_schema", "json_schema": {}}}, {"json_mode"}),
        ((part("image_url"),), {"tools": [TOOL], "response_format": {"type": "x"}}, {"vision", "tools", "json_mode"}),
    ],
)
def test_what_a_conversation_needs_is_seen_in_messages_and_options(
    messages: Any, options: dict[str, Any], needed: set[str]
):
    needs = Needs.of(ChatCall(messages, options))
    assert {name for name in ("tools", "vision", "audio", "json_mode") if getattr(needs, name)} == needed
    assert set(missing(Capabilities(), needs)) == needed
    assert missing(Capabilities(True, True, True, True), needs) == ()


def test_tokens_are_those_of_all_that_is_read_and_of_the_answer():
    plain = Needs.of(ChatCall((USER,)), 100)
    assert plain.tokens == prompt_tokens(ChatCall((USER,))) + 100
    assert Needs.of(ChatCall((USER,), {"max_tokens": 7}), 100).tokens == plain.tokens - 93
    assert Needs.of(ChatCall((USER,), {"max_completion_tokens": 7, "max_tokens": 9}), 100).tokens == plain.tokens - 93
    assert Needs.of(ChatCall((USER, USER)), 100).tokens > plain.tokens + count_tokens("hello there")
    assert Needs.of(ChatCall((USER,), {"tools": [TOOL]}), 100).tokens > plain.tokens
    assert Needs.of(ChatCall((part("image_url", image_url={"url": "A" * 10**6}),))).tokens < 5000
    assert [Needs.of(ChatCall((USER,), o), 9, counts_tokens=False).tokens for o in ({}, {"max_tokens": 7})] == [0, 0]
    assert missing(Capabilities(context_tokens=plain.tokens), plain) == ()
    assert missing(Capabilities(context_tokens=plain.tokens - 1), plain) == ("context_tokens",)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "content", "role"]), inner)
        ),
        max_leaves=10,
    )
)
def test_any_content_has_needs_and_a_bound_of_its_tokens(content: Any):
    call = ChatCall(({"role": "user", "content": content, "tool_calls": content},), {"tools": content})
    assert 0 <= prompt_tokens(call) <= most_prompt_tokens(call)
    assert Needs.of(call).tokens == prompt_tokens(call)


def test_what_a_provider_says_of_itself_holds_unless_the_configuration_says_otherwise():
    def loaded(**more: Any) -> Capabilities:
        return load_expert(validate(ExpertConfig, {**CONFIG, **more}, where="here")).capabilities

    assert loaded() == Capabilities(tools=True, json_mode=True)
    assert loaded(api="completions") == Capabilities()
    given_all = {"tools": False, "vision": True, "context_tokens": 4096}
    assert loaded(capabilities=given_all) == Capabilities(vision=True, json_mode=True, context_tokens=4096)
    assert OpenAICompatibleExpert.capabilities == Capabilities()
    assert all(load_expert(ExpertConfig(provider=name)).capabilities == Capabilities() for name in tools)


def test_capabilities_are_saved_with_the_configuration_of_the_expert():
    (config,) = expert_configs([ExpertConfig.model_validate({**CONFIG, "capabilities": {"vision": True}})])
    saved = json.loads(json.dumps(config.model_dump(mode="json", exclude_none=True)))
    assert saved["capabilities"] == {"vision": True}
    assert load_expert(ExpertConfig.model_validate(saved)).capabilities.vision


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"visoin": True}, "'capabilities.visoin'"),
        ({"vision": "yes"}, "capabilities.vision"),
        ({"context_tokens": 0}, "capabilities.context_tokens"),
        ({"context_tokens": 1.5}, "capabilities.context_tokens"),
        (["vision"], "capabilities"),
    ],
)
def test_capabilities_that_are_none_are_refused_by_name(given: Any, said: str):
    with pytest.raises(ConfigError) as caught:
        validate(ExpertConfig, {**CONFIG, "capabilities": given}, where="build.yaml")
    assert said in str(caught.value)
    if given == {"visoin": True}:
        assert "vision" in str(caught.value).partition("Known")[0]


def test_a_long_text_is_counted_in_parts():
    text = "The quick brown fox, aged 12, jumps over 345 lazy dogs.\n" * 2_000
    about = prompt_tokens(ChatCall.of(text))
    assert about == pytest.approx(count_tokens(text), rel=0.02)
    assert about <= most_prompt_tokens(ChatCall.of(text))
