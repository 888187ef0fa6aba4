"""The parts of the server that need no process of their own."""

import json
import multiprocessing
import re
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import ConfigError, DataError, ExpertUnavailableError, validate
from mixture_training.src.decisions import Attempt
from mixture_training.src.server import json_bytes
from mixture_training.src.server.api_errors import ApiError, from_toolkit, safe_header
from mixture_training.src.server.model_choice import cheap_policy, choose_model
from mixture_training.src.server.rate_slots import BURST_S, RateSlots
from mixture_training.src.server.replies import usage_field
from mixture_training.src.server.request_log import RequestLog
from mixture_training.src.server.serve_config import ServeConfig

ROOT = Path(__file__).parents[2]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_json_is_the_same_with_orjson_and_without(value):
    for write in (json_bytes._write, json_bytes.write_json):
        for read in (json_bytes._read, json_bytes.read_json):
            assert read(write(value)) == value


@given(st.floats())
def test_what_json_has_no_word_for_becomes_null(number):
    finite = number == number and abs(number) != float("inf")
    for write in (json_bytes._write, json_bytes.write_json):
        assert json.loads(write({"a": [number]})) == {"a": [number if finite else None]}


@pytest.mark.parametrize(("value", "written"), [("a\ud800", b'"a?"'), (2**70, b"1180591620717411303424")])
def test_whatever_an_expert_says_can_be_written(value, written):
    for write in (json_bytes._write, json_bytes.write_json):
        assert write({"a": value}) == b'{"a":' + written + b"}"


@given(st.binary(max_size=30))
def test_reading_anything_gives_a_value_or_a_value_error(data):
    for read in (json_bytes._read, json_bytes.read_json):
        with suppress(ValueError):
            json_bytes.write_json(read(data))


@pytest.mark.parametrize("data", [b'"\\ud800"', b'"\\uDC00\\ud800"', b"NaN", b"-Infinity", b"1e999", b"[" * 100_000])
def test_what_cannot_be_written_again_is_not_read(data):
    for read in (json_bytes._read, json_bytes.read_json):
        with pytest.raises((ValueError, RecursionError)) as caught:
            read(data)
        assert read is json_bytes._read or isinstance(caught.value, ValueError)


@given(st.text())
def test_no_value_breaks_out_of_its_header(value):
    shown = safe_header(value)
    assert all(" " <= sign <= "~" for sign in shown)
    assert len(shown) <= 200


def test_a_rate_is_kept_after_a_burst(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("mixture_training.src.server.rate_slots.time.time", lambda: now[0])
    rates = RateSlots()
    taken = sum(rates.wait_s("a", 60.0) == 0.0 for _ in range(30))
    assert taken == int(BURST_S)
    assert 0.0 < rates.wait_s("a", 60.0) <= 1.0
    assert rates.wait_s("b", 60.0) == 0.0
    for _ in range(120):
        now[0] += 0.5
        taken += rates.wait_s("a", 60.0) == 0.0
    assert taken == int(BURST_S) + 60
    rates.close()


def test_a_slow_rate_lets_one_request_through_at_a_time():
    rates = RateSlots()
    assert rates.wait_s("a", 1.0) == 0.0
    assert 59.0 < rates.wait_s("a", 1.0) <= 60.0
    rates.close()


def _count(file: int, results) -> None:
    rates = RateSlots(file)
    results.put(sum(rates.wait_s("a", 600.0) == 0.0 for _ in range(200)))


def test_processes_share_one_rate(tmp_path):
    from mixture_training.src.server.rate_slots import shared_file

    file = shared_file(tmp_path)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=_count, args=(file, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    taken = sum(results.get(timeout=30) for _ in workers)
    for worker in workers:
        worker.join()
    assert 100 <= taken <= 110  # a burst of ten seconds, and what the run took


def test_a_model_is_a_policy_or_an_expert():
    experts = ("small", "org/large")
    assert choose_model("moe", experts, "quality").policy is None
    assert choose_model("moe-cheap", experts, "target=0.9").policy == "target=0.9"
    assert choose_model("moe:cost_weight=050.0", experts, "quality").policy == "cost_weight=50"
    assert choose_model("org/large", experts, "quality").expert == "org/large"
    with pytest.raises(ApiError, match="Did you mean 'small'") as caught:
        choose_model("smal", experts, "quality")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


def test_cheap_is_a_share_of_the_best_where_the_router_knows_and_a_stated_trade_where_not():
    cards = [SimpleNamespace(mean_cost=cost) for cost in (0.001, None, 0.011)]
    router = SimpleNamespace(assurance=SimpleNamespace(trade_offs=object()), experts=cards)
    assert cheap_policy(router) == "target=0.9"
    router.assurance.trade_offs = None
    assert cheap_policy(router) == "cost_weight=10"
    router.experts = cards[1:2]
    assert cheap_policy(router) == "quality"


def test_a_failure_is_told_without_what_endpoints_say():
    failure = ExpertUnavailableError("every expert failed (a: http://10.0.0.3 said no)", expert="a", kind="all_failed")
    failure.attempts = (
        Attempt("a", None, 1.0, "server_error: http://10.0.0.3 said no"),
        Attempt("b", None, 1.0, "timeout: x"),
    )
    failure.decision_id = "d"
    told = from_toolkit(failure)
    assert (told.status, told.decision) == (502, "d")
    assert "10.0.0.3" not in told.message
    assert "a: server_error; b: timeout" in told.message
    failure.attempts = (Attempt("a", None, 1.0, "too_long: of 4 tokens"),)
    assert from_toolkit(failure).status == 400
    failure.attempts = (Attempt("a", None, 1.0, "timeout: 60 s"),)
    assert from_toolkit(failure).status == 504
    failure.attempts = (
        Attempt("a", None, 0.0, "circuit_open: not asked"),
        Attempt("b", None, 0.1, "rate_limit: HTTP 429"),
    )
    told = from_toolkit(failure)
    assert (told.status, told.headers) == (503, {"Retry-After": "2"})
    assert from_toolkit(DataError("/secret/place is damaged")).message == "The server could not do this."


def test_usage_is_counted_as_openai_does():
    usage = SimpleNamespace(prompt_tokens=5, completion_tokens=None, cached_tokens=3, reasoning_tokens=None)
    assert usage_field(usage) == {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5,
                                  "prompt_tokens_details": {"cached_tokens": 3}}  # fmt: skip
    assert usage_field(None)["total_tokens"] == 0


def test_a_problem_is_logged_by_its_place_and_not_its_words(capsys):
    log = RequestLog()
    try:
        raise KeyError("the secret prompt")
    except KeyError as problem:
        log.problem("/v1/x", problem)
    line = json.loads(capsys.readouterr().err)
    assert (line["type"], line["event"]) == ("KeyError", "problem")
    assert line["places"][0].startswith(__file__)
    assert "secret prompt" not in json.dumps(line)


def test_without_the_library_nothing_is_counted_and_metrics_say_what_to_install(monkeypatch):
    from mixture_training.src.server import measures

    monkeypatch.setattr(measures, "find_spec", lambda name: None)
    made = measures.make_measures()
    for name in vars(measures.Measures):
        if not name.startswith("_"):
            assert name in vars(type(made))
    made.answered("a", "answered", 1.0, (Attempt("a", 1.0, 1.0, None),))
    with pytest.raises(ApiError, match=r"moe-toolkit\[serve\]"):
        made.text()
    measures.forget_worker(1, "/nowhere")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_loopback_is_known_by_its_names(host):
    assert ServeConfig(router="r", host=host, no_auth=True).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", ""])
def test_elsewhere_keys_are_needed(host):
    with pytest.raises(ConfigError, match="no_auth takes requests from everybody"):
        validate(ServeConfig, {"router": "r", "host": host, "no_auth": True}, where="the command line")


@pytest.mark.skipif(find_spec("opentelemetry.sdk") is None, reason="needs opentelemetry-sdk")
def test_a_request_is_a_span_with_one_for_routing_and_one_per_attempt():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from mixture_training.src.server.tracing import Tracing

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider)
    attempts = (Attempt("a", None, 0.2, "timeout: the secret"), Attempt("b", 0.5, 0.3, None, started_s=0.2))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    tracing.request("POST /v1/x", {"traceparent": parent}, seconds=0.6, status=200, attempts=attempts,
                    notes={"moe.expert": "b"})  # fmt: skip
    spans = {(span.name, (span.attributes or {}).get("moe.expert")): span for span in exporter.get_finished_spans()}
    root = spans["POST /v1/x", "b"]
    assert f"{root.context.trace_id:032x}" == parent.split("-")[1]
    assert f"{root.parent.span_id:016x}" == parent.split("-")[2]
    assert {span.parent.span_id for span in spans.values() if span is not root} == {root.context.span_id}
    assert set(spans) == {("POST /v1/x", "b"), ("moe.route", None), ("moe.attempt", "a"), ("moe.attempt", "b")}
    failed = spans["moe.attempt", "a"]
    assert (failed.status.is_ok, failed.status.description) == (False, "timeout")
    assert spans["moe.route", None].start_time == root.start_time
    assert spans["moe.attempt", "b"].end_time <= root.end_time
    tracing.close()


def test_the_image_is_without_root_and_without_torch():
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    text = "\n".join(lines)
    last = text[text.rindex("FROM ") :]
    assert re.search(r"^USER (\d+)$", last, re.MULTILINE)[1] != "0"
    assert "HEALTHCHECK" in last
    assert "pip install" not in last
    assert all(re.match(r"FROM python:3\.11-slim", line) for line in lines if line.startswith("FROM"))
    extras = re.search(r'"\.\[(.*?)\]"', text)[1].split(",")
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(need for extra in extras for need in project["optional-dependencies"].get(extra, [])),
    ]
    assert not any(need.startswith(("torch", "transformers", "xgboost")) for need in wanted)
    assert (ROOT / ".dockerignore").read_text().startswith("*\n")
    assert 'ENTRYPOINT ["moe"]' in last


def test_the_server_starts_without_what_it_does_not_need():
    import subprocess

    code = (
        "import sys, mixture_training.src.server.application, mixture_training.src.server.opening; print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "sklearn", "scipy", "pandas", "pyarrow", "sqlalchemy", "alembic", "matplotlib", "opentelemetry"}
    assert not heavy & set(run.stdout.split())
