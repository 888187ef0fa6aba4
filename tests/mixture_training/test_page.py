"""The page's figures and files, without a browser."""

import math
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture_training.src.decisions import Attempt, Decision
from mixture_training.src.feedback_store import FeedbackStore
from mixture_training.src.storing.keys import Key
from mixture_training.src.storing.reading import Brief
from mixture_training.src.web.live_figures import COLUMNS, WINDOW_S, recent_figures, sees_all
from mixture_training.src.web.page import STATIC
from mixture_training.src.web.router_figures import finite
from tests.mixture_training.live_server import live_server

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
FILES = sorted(path for path in STATIC.iterdir() if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]


def brief(age_s, expert="a", first="a", outcome="answered", cost=0.5, latency_s=1.0):
    created = (NOW - timedelta(seconds=age_s)).isoformat(timespec="milliseconds")
    return Brief("id", created, expert, first, "quality", outcome, cost, latency_s)


def decision(number, *, minutes=0, key_id=None, ranking=("a", "b"), expert="a"):
    return Decision(
        id=f"d{number}",
        created=(NOW + timedelta(minutes=minutes)).isoformat(timespec="milliseconds"),
        instruction=None,
        expert=expert,
        response=None,
        ranking=ranking,
        policy="quality",
        category=None,
        confidence=None,
        expected_score=0.5,
        cost=0.25,
        latency_s=0.1,
        attempts=(Attempt("a", 0.25, 0.1, None),),
        key_id=key_id,
    )


def test_the_last_hour_is_told_by_the_minute_and_as_a_whole():
    rows = [
        brief(1),
        brief(59),
        brief(61, expert="b"),
        brief(3599, latency_s=9.0),
        brief(30, expert=None, outcome="failed", cost=0.0),
        brief(30, expert=None, outcome="cancelled", cost=0.25),
    ]
    figures = recent_figures(rows, NOW, is_cut=False)
    assert figures["step_s"] == 60.0
    assert figures["requests"]["a"][-1] == 2
    assert figures["requests"]["a"][0] == 1
    assert figures["requests"]["b"][-2] == 1
    assert figures["requests"][""][-1] == 2
    summary = figures["summary"]
    assert [summary[name] for name in ("requests", "first", "fallback", "failed", "cancelled")] == [6, 3, 1, 1, 1]
    assert summary["cost"] == 2.25
    assert (summary["p50_s"], summary["p95_s"]) == (1.0, 9.0)


def test_where_there_is_more_than_is_looked_at_the_steps_are_shorter():
    figures = recent_figures([brief(1), brief(120)], NOW, is_cut=True)
    assert figures["step_s"] == pytest.approx(2.0)
    assert figures["since"] == "2026-05-01T11:58:00+00:00"
    assert figures["requests"]["a"][0] == figures["requests"]["a"][-1] == 1


def test_nothing_is_no_figures_and_no_division_by_it():
    for is_cut in (False, True):
        figures = recent_figures([], NOW, is_cut=is_cut)
        assert figures["requests"] == {}
        assert figures["summary"]["p50_s"] is None


@given(
    st.lists(
        st.tuples(st.floats(-5.0, WINDOW_S + 5.0), st.sampled_from(["a", "b", None]), st.floats(0, 10)), max_size=50
    ),
    st.booleans(),
)
def test_every_request_is_in_one_step_and_every_dollar(rows, is_cut):
    made = [
        brief(age, expert=expert, outcome="answered" if expert else "failed", cost=cost) for age, expert, cost in rows
    ]
    figures = recent_figures(sorted(made, key=lambda row: row.created, reverse=True), NOW, is_cut=is_cut)
    assert all(len(steps) == COLUMNS for steps in figures["requests"].values())
    assert sum(map(sum, figures["requests"].values())) == len(rows)
    assert math.isclose(sum(map(sum, figures["costs"].values())), figures["summary"]["cost"], abs_tol=1e-9)


def test_decisions_in_brief_are_the_newest_first_and_those_of_one_key(store_place):
    with FeedbackStore(store_place) as store:
        store.remember_all(
            [decision(n, minutes=n, key_id="k" if n % 2 else "other", ranking=("b", "a")) for n in range(6)]
        )
        found = store.brief(3)
        assert [row.id for row in found] == ["d5", "d4", "d3"]
        assert (found[0].first, found[0].expert, found[0].cost) == ("b", "a", 0.25)
        assert [row.id for row in store.brief(9, key_id="k")] == ["d5", "d3", "d1"]
        assert [row.id for row in store.brief(9, since=NOW + timedelta(minutes=4))] == ["d5", "d4"]
        assert store.brief(9, key_id="nobody") == []


def test_a_key_with_any_limit_sees_itself_only():
    free = Key(id="k", name="n", hint="h", created="2026", requests_per_minute=5)
    assert sees_all(None)
    assert sees_all(free)
    assert not sees_all(replace(free, budget_usd=1.0))
    assert not sees_all(replace(free, experts=("a",)))
    assert not sees_all(replace(free, policies=("quality",)))


def test_what_json_has_no_word_for_is_null():
    assert finite({"a": float("nan"), "b": [1.0, float("inf")], "c": ("x", None)}) == {
        "a": None,
        "b": [1.0, None],
        "c": ["x", None],
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_takes_text_for_markup_or_loads_anything_from_elsewhere(path):
    text = path.read_text(encoding="utf-8")
    code = re.sub(r"(?m)^\s*//.*$", "", text)
    for never in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", " style="):
        assert never not in code
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert addresses == set()
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\bsrc=)", text)
        assert not re.search(r"\son[a-z]+=", text)
        assert "<style" not in text


def test_every_file_is_used_and_every_file_used_is_there():
    named = {name for path in FILES for name in re.findall(r"/static/([\w.]+)", path.read_text(encoding="utf-8"))}
    assert named | {"index.html"} == {path.name for path in FILES}


def test_the_key_is_kept_in_the_session_only():
    code = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS if path.name not in ("theme.js", "main.js"))
    assert "localStorage" not in code
    assert (STATIC / "main.js").read_text(encoding="utf-8").count("localStorage") == 1  # the choice of colours


def test_a_stream_is_read_the_same_however_it_is_cut(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    script = tmp_path / "cut.mjs"
    script.write_text(
        f"""
        import {{ eventsOf }} from {(STATIC / "sse.js").as_uri()!r};
        const text = ': hi\\n\\ndata: {{"a":"ä€😀"}}\\n\\ndata: x\\ndata: y\\r\\n\\r\\nevent: z\\ndata:[DONE]\\n\\n';
        const bytes = new TextEncoder().encode(text);
        const read = async (...cuts) => {{
          async function* parts() {{
            let from = 0;
            for (const to of [...cuts, bytes.length]) {{ yield bytes.slice(from, to); from = to; }}
          }}
          const found = [];
          for await (const data of eventsOf(parts())) found.push(data);
          return JSON.stringify(found);
        }};
        const seen = new Set();
        for (let one = 0; one <= bytes.length; one += 1)
          for (let other = one; other <= bytes.length; other += 1) seen.add(await read(one, other));
        console.log([...seen].join("\\n"));
        """,
        encoding="utf-8",
    )
    done = subprocess.run([node, script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == '["{\\"a\\":\\"ä€😀\\"}","x\\ny","[DONE]"]'


@pytest.mark.slow
def test_the_figures_are_behind_the_key_and_those_of_everybody_behind_one_without_limits(tmp_path):
    with live_server(tmp_path) as server:
        limited = server.make_key(budget_usd=5.0)
        theirs = server.chat().json["moe"]["decision"]
        mine = server.chat(key=limited).json["moe"]["decision"]
        for path in ("router", "live", "versions", "drift", f"nearest/{mine}"):
            assert server.ask("GET", f"/v1/page/{path}", key=None).status == 401
            assert server.ask("GET", f"/v1/page/{path}").status == (404 if mine in path else 200)
        assert server.ask("GET", "/v1/page/drift", key=limited).status == 403
        assert server.ask("GET", f"/v1/page/nearest/{mine}", key=limited).status == 403
        near = server.ask("GET", f"/v1/page/nearest/{theirs}").json["nearest"]
        assert [-1.0001 <= one["similarity"] <= 1.0001 for one in near] == [True] * 4
        server.wait_for(lambda: server.ask("GET", "/v1/page/live").json["recent"]["summary"]["requests"] == 2)
        whole, own = (server.ask("GET", "/v1/page/live", key=key).json for key in ("", limited))
        assert (whole["scope"], own["scope"]) == ("all", "key")
        assert [row["id"] for row in own["latest"]] == [mine]
        assert own["hours"] is own["experts"] is None
        assert [key["is_own"] for key in own["keys"]] == [True]
        assert len(whole["keys"]) == 2
        assert server.ask("GET", "/", key=None).headers["Content-Type"].startswith("text/html")
        assert server.ask("GET", "/static/main.js", key=None).status == 200
        for path in ("/static/../page.py", "/static/%2e%2e/page.py", "/static/page.py", "/static/"):
            assert server.ask("GET", path, key=None).status == 404


@pytest.mark.slow
def test_a_server_may_go_without_the_page(tmp_path):
    with live_server(tmp_path, "--no-page") as server:
        assert server.ask("GET", "/", key=None).status == 404
        assert server.ask("GET", "/v1/page/live").status == 404
