import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import ChatCall, ConfigError, count_tokens
from mixture_training.src.conversation import STANDS_ALONE, WINDOW, as_call, read_conversation, routing_text

LONG = "Please work out how many of the forty-two red apples are left when seventeen of them were eaten yesterday."
OTHER = "Write a poem about the old trains that used to run along the river when my grandmother was young."
SHORT = "and in French?"


def talk(*turns):
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return as_call([{"role": names[who], "content": text} for who, text in turns])


@given(st.text())
def test_a_single_instruction_is_routed_by_exactly_its_own_text(text):
    assert routing_text(as_call(text)) == text
    assert as_call(text).is_plain


def test_a_new_question_goes_where_it_would_go_on_its_own():
    assert routing_text(talk(("u", OTHER), ("a", "O trains!"), ("u", LONG))) == LONG
    assert routing_text(talk(("s", "Be kind."), ("u", LONG))) == LONG


def test_a_short_one_is_read_with_what_it_refers_to():
    assert routing_text(talk(("u", LONG), ("a", "25"), ("u", SHORT))) == f"{LONG}\n\n{SHORT}"
    far = talk(("u", OTHER), ("a", "O"), ("u", LONG), ("a", "25"), ("u", "why?"), ("a", "so"), ("u", SHORT))
    assert routing_text(far) == f"{LONG}\n\nwhy?\n\n{SHORT}"


def test_where_nothing_stands_alone_the_system_prompt_is_read_too():
    assert routing_text(talk(("s", "You translate to French."), ("u", "apple"))) == "You translate to French.\n\napple"


def test_before_a_long_text_the_system_prompt_tells_the_task():
    text = routing_text(talk(("s", "Summarise the text in one line. " * 40), ("u", LONG * 6)))
    assert text.startswith("Summarise the text in one line.")
    assert text.endswith(LONG * 6)
    assert count_tokens(text) < count_tokens(LONG * 6) + 40


def test_all_turns_of_a_loop_with_tools_are_routed_alike():
    messages = [{"role": "user", "content": LONG}]
    before = routing_text(as_call(messages))
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "17"},
    ]
    assert routing_text(as_call(messages)) == before == LONG


def test_parts_are_read_and_images_are_not():
    parts = [{"type": "image_url", "image_url": {"url": "data:x"}}, {"type": "text", "text": LONG}]
    assert routing_text(as_call([{"role": "user", "content": parts}])) == LONG
    picture = {"role": "user", "content": parts[:1]}
    assert routing_text(as_call([{"role": "user", "content": LONG}, picture])) == LONG
    assert routing_text(as_call([picture])) == ""


@given(st.lists(st.tuples(st.sampled_from("suat"), st.text(max_size=200)), min_size=2, max_size=8))
def test_no_more_than_the_window_is_read_besides_the_last_message(turns):
    call = talk(*turns)
    said = [text for who, text in turns if who == "u" and text.strip()]
    text = routing_text(call)
    last = said[-1] if said else ""
    assert text.endswith(last)
    assert count_tokens(text) <= count_tokens(last) + WINDOW + STANDS_ALONE


def test_a_text_without_spaces_is_cut_too():
    assert len(routing_text(talk(("u", "漢" * 100_000), ("u", "why?")))) < 1000


def test_messages_and_options_pass_through_untouched():
    messages = [{"role": "user", "content": "hi", "name": "ann", "own": 1}]
    call = as_call(messages, {"tools": [{"type": "function"}], "max_tokens": 5})
    assert call.messages[0] is messages[0]
    assert call.options == {"tools": [{"type": "function"}], "max_tokens": 5}
    assert as_call(call) is call


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (7, "An instruction is a text or a list of messages; int was given"),
        ([], "The list of messages is empty"),
        (["hi"], "Message 0 is str"),
        ([{"content": "hi"}], "Message 0 has the role None; expected one of system"),
        ([{"role": "user", "content": None}], r"Message 0 \(user\) has no content"),
        ([{"role": "assistant", "content": None}], r"Message 0 \(assistant\) has no content"),
        ([{"role": "user", "content": 5}], "Message 0: the content is int"),
        ([{"role": "user", "content": []}], "has an empty list of parts"),
        ([{"role": "user", "content": ["hi"]}], "Message 0, part 0 has no type"),
        ([{"role": "user", "content": [{"type": "text"}]}], "Message 0, part 0 is of type text and has none"),
    ],
)
def test_what_is_no_conversation_is_told_by_its_place(content, says):
    with pytest.raises(ConfigError, match=says):
        as_call(content)


def test_an_option_that_the_toolkit_sets_is_refused():
    with pytest.raises(ConfigError, match="The options hold 'model'"):
        as_call("hi", {"model": "x"})


def test_a_conversation_is_read_from_a_file(tmp_path):
    file = tmp_path / "talk.json"
    messages = [{"role": "user", "content": "hi"}]
    file.write_text(json.dumps(messages))
    assert read_conversation(file) == ChatCall(tuple(messages))
    file.write_text(json.dumps({"model": "moe", "messages": messages, "max_tokens": 3, "stream": True}))
    assert read_conversation(file).options == {"max_tokens": 3}
    for content, says in (("{", "is no JSON"), ("{}", "holds no messages"), ("7", "holds no messages")):
        file.write_text(content)
        with pytest.raises(ConfigError, match=says):
            read_conversation(file)
    with pytest.raises(ConfigError, match="Cannot read"):
        read_conversation(tmp_path / "absent.json")
