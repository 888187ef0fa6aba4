"""The examples in docs/clients run as they are, against the real server."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.mixture_training.live_server import LiveServer, live_server

CLIENTS = Path(__file__).parents[2] / "docs" / "clients"
TEXT = "".join(f"w:{number} " for number in range(8))
#: What `npm install` may take, seconds.
INSTALL_S = 240

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("clients")) as running:
        yield running


def run(server: LiveServer, *command: str, cwd: Path | None = None) -> list[str]:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": server.key, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout
    return done.stdout.splitlines()


@pytest.mark.skipif(find_spec("openai") is None, reason="needs openai (pip install openai)")
def test_the_official_python_client_does_everything_it_does_with_openai(server):
    said = run(server, sys.executable, str(CLIENTS / "python_openai.py"))
    assert said[0] == f"answer: {TEXT}"
    assert said[1].startswith(("decided: small for 0.00", "decided: large for 0.00"))
    assert "by cost_weight=50" in said[2]
    assert said[3] == f"streamed: {TEXT} (8 pieces, 8 tokens)"
    assert said[4] == 'tool call: weather({"city": "w"}), tool_calls'
    assert said[5] == f"with its result: {TEXT}"
    assert said[6] == "JSON: {'answer': 'w'}"
    assert said[7] == "models: moe, moe-quality, moe-cheap, small, large"
    assert said[8] == "feedback: taken"
    assert said[9] == "error: NotFoundError 404 model_not_found"


@pytest.fixture(scope="module")
def node_modules(request, tmp_path_factory) -> Path:
    """A folder with the `openai` package of npm, kept between runs in pytest's cache."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm")
    cache = getattr(request.config, "cache", None)  # none where pytest was told to keep none
    folder = tmp_path_factory.mktemp("node-openai") if cache is None else Path(cache.mkdir("node-openai"))
    if not (folder / "node_modules" / "openai").is_dir():
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "openai@7"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm install openai did not end within {INSTALL_S} s")
        if done.returncode:
            pytest.skip(f"npm install openai failed: {done.stderr.strip()[-300:]}")
    return folder


def test_the_official_node_client_does_too(server, node_modules):
    shutil.copy(CLIENTS / "node_openai.mjs", node_modules)  # node looks for packages beside the file
    said = run(server, "node", "node_openai.mjs", cwd=node_modules)
    assert said[0] == f"answer: {TEXT}"
    assert said[1].startswith(("decided: small for 0.00", "decided: large for 0.00"))
    assert said[2] == f"streamed: {TEXT} (8 tokens)"
    assert said[3] == 'tool call: weather({"city": "w"}), tool_calls'
    assert said[4] == f"with its result: {TEXT}"
    assert said[5] == 'JSON: {"answer":"w"}'
    assert said[6] == "feedback: taken"
    assert said[7] == "error: NotFoundError 404 model_not_found"


@pytest.mark.skipif(find_spec("langchain_openai") is None, reason="needs langchain-openai")
def test_langchain_does(server):
    said = run(server, sys.executable, str(CLIENTS / "langchain_example.py"))
    assert said[0] == f"answer: {TEXT}"
    assert said[1] in ("expert: small", "expert: large")
    assert said[2] == f"streamed: {TEXT} (8 pieces)"
    assert said[3] == "tool call: weather({'city': 'w'})"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_does(server):
    said = "\n".join(run(server, "sh", str(CLIENTS / "curl.sh")))
    assert f'"content":"{TEXT}"' in said
    assert '"delta":{"role":"assistant","content":"w:0 "}' in said
    assert "data: [DONE]" in said
    assert '"options"' in said
    assert '"id":"moe-cheap"' in said


def test_what_the_client_sends_reaches_the_expert_untouched(server):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "x-own": [1, None]}}}]
    messages = [
        {"role": "system", "content": "Be brief.", "name": "boss"},
        {"role": "user", "content": [{"type": "text", "text": "Hello — ✓"}, {"type": "text", "text": "again"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {}}]},
        {"role": "tool", "tool_call_id": "c", "content": "seven"},
    ]
    options = {"tools": tools, "tool_choice": "auto", "temperature": 0.3, "seed": 7, "logit_bias": {"50256": -100}}
    body = {"model": "small", "messages": messages, **options, "parallel_tool_calls": False, "x_unknown": {"a": [1]}}
    assert server.ask("POST", "/v1/chat/completions", body).status == 200
    _, sent = server.experts["small"].last_request()
    assert sent["messages"] == messages
    assert {name: sent[name] for name in options} == options
    assert sent["parallel_tool_calls"] is False
    assert sent["x_unknown"] == {"a": [1]}
