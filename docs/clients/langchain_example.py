# ruff: noqa: T201
"""LangChain's chat model for OpenAI talks to `moe serve`: whole, streamed, with tools.

    pip install langchain-openai
    export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=moe-...
    python docs/clients/langchain_example.py

The address and the key are all that differs.
"""

import os

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def weather(city: str) -> str:
    """Return the weather of a city now."""
    return f"7 degrees and rain in {city}"


def main() -> None:
    """Ask in three ways."""
    model = ChatOpenAI(model="moe", base_url=os.environ["OPENAI_BASE_URL"], max_retries=1)

    answer = model.invoke([SystemMessage("You are brief."), HumanMessage("What is 17% of 2,340?")])
    print(f"answer: {answer.content}")
    print(f"expert: {answer.response_metadata['model_name']}")

    pieces = [str(chunk.content) for chunk in model.stream("Tell me about the sea.")]
    print(f"streamed: {''.join(pieces)} ({len([piece for piece in pieces if piece])} pieces)")

    asked = model.bind_tools([weather]).invoke("How is the weather in Oslo?")
    print(f"tool call: {asked.tool_calls[0]['name']}({asked.tool_calls[0]['args']})")


if __name__ == "__main__":
    main()
