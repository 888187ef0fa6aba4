# ruff: noqa: T201
"""The official OpenAI client talks to `moe serve` as it does to OpenAI: whole, streamed, tools, JSON mode, errors.

    pip install openai
    export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=moe-...
    python docs/clients/python_openai.py

The address and the key are all that differs.
"""

import json
from typing import Any

from openai import APIStatusError, OpenAI

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def main() -> None:
    """Ask in every way there is."""
    client = OpenAI(max_retries=1)  # the address and the key are read from the environment

    # The router chooses the expert; `model` in the answer says which one it was, `moe` why and for how much.
    answer = client.chat.completions.create(
        model="moe", messages=[{"role": "user", "content": "What is 17% of 2,340?"}], max_tokens=200
    )
    decided = (answer.model_extra or {})["moe"]
    print(f"answer: {answer.choices[0].message.content}")
    print(f"decided: {decided['expert']} for {decided['cost_usd']:.6f} USD, {answer.usage.total_tokens} tokens")  # type: ignore[union-attr]

    # What was decided is in headers as well.
    raw = client.chat.completions.with_raw_response.create(
        model="moe:cost_weight=50", messages=[{"role": "user", "content": "Write a poem about rain."}]
    )
    print(f"headers: {raw.headers['x-moe-expert']} by {raw.headers['x-moe-policy']}")

    # Piece by piece.
    parts = []
    stream = client.chat.completions.create(
        model="moe-cheap",
        messages=[{"role": "user", "content": "Tell me about the sea."}],
        stream=True,
        stream_options={"include_usage": True},
    )
    tokens = None
    for chunk in stream:
        parts += [choice.delta.content or "" for choice in chunk.choices]
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    print(f"streamed: {''.join(parts)} ({len([part for part in parts if part])} pieces, {tokens} tokens)")

    # Tools: the call comes back, its result goes in, the answer comes out.
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Oslo?"}]
    asked = client.chat.completions.create(model="moe", messages=messages, tools=[WEATHER]).choices[0]  # type: ignore[list-item]
    call = asked.message.tool_calls[0]  # type: ignore[index]
    print(f"tool call: {call.function.name}({call.function.arguments}), {asked.finish_reason}")  # type: ignore[union-attr]
    messages += [asked.message, {"role": "tool", "tool_call_id": call.id, "content": "7 degrees, rain"}]
    told = client.chat.completions.create(model="moe", messages=messages, tools=[WEATHER])  # type: ignore[list-item]
    print(f"with its result: {told.choices[0].message.content}")

    # JSON mode.
    formed = client.chat.completions.create(
        model="moe",
        messages=[{"role": "user", "content": "Capital of Norway, as JSON."}],
        response_format={"type": "json_object"},
    )
    print(f"JSON: {json.loads(formed.choices[0].message.content or '')}")

    # Models: the policies of the router, and each expert by name.
    print(f"models: {', '.join(model.id for model in client.models.list())}")

    # Feedback makes the router better.
    client.post("/feedback", body={"id": answer.id, "score": 1.0, "comment": "right"}, cast_to=object)
    print("feedback: taken")

    # Errors are those of OpenAI's API.
    try:
        client.chat.completions.create(model="moe-quality-2", messages=[{"role": "user", "content": "Hello"}])
    except APIStatusError as problem:
        print(f"error: {type(problem).__name__} {problem.status_code} {problem.code}")


if __name__ == "__main__":
    main()
