"""Who may do what, what may be said, and what is never told: against the real server.

What goes wrong on the wire is in `test_security_wire.py`, what experts and addresses can do in
`test_security_upstream.py`; the table of all of it is `docs/security.md`.
"""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.mixture_training.live_server import LiveServer, live_server

ROOT = Path(__file__).parents[2]
MESSAGES = [{"role": "user", "content": "How much is 3 and 4?"}]
CHAT = {"model": "moe", "messages": MESSAGES}
ROUTES = (
    ("POST", "/v1/chat/completions", CHAT),
    ("POST", "/v1/completions", {"model": "moe", "prompt": "Hello"}),
    ("POST", "/v1/embeddings", {"model": "moe", "input": "Hello"}),
    ("POST", "/v1/route", CHAT),
    ("POST", "/v1/feedback", {"id": "0123456789abcdef", "score": 1}),
    ("GET", "/v1/decisions/0123456789abcdef", None),
    ("GET", "/v1/models", None),
    ("GET", "/v1/models/moe", None),
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("security")) as running:
        yield running


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=[route[1] for route in ROUTES])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer moe-" + "A" * 43,
        "Bearer " + "k" * 5000,
        "Basic bW9lOm1vZQ==",
        "Bearer \xff\xfe",
        "Bearer ' OR '1'='1",
    ],
)
def test_without_a_good_key_nothing_is_told(server: LiveServer, method, path, body, authorization):
    before = server.requests()
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = server.ask(method, path, body, key=None, **headers)
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert server.requests() == before


def test_what_the_page_shows_needs_a_key_as_well(server: LiveServer):
    mine = server.chat().headers["x-moe-decision"]
    module = (ROOT / "mixture_training/src/web/page.py").read_text(encoding="utf-8")
    addresses = sorted(set(re.findall(r'"(/v1/page/[^"]+)"', module)))
    assert len(addresses) > 3
    for address in addresses:
        place = address.replace("{id}", mine)
        assert server.ask("GET", place, key=None).status == 401, place
        assert server.ask("GET", place).status == 200, place
    stranger = server.make_key()
    assert server.ask("GET", f"/v1/page/nearest/{mine}", key=stranger).status == 404


def test_the_page_loads_and_runs_nothing_from_elsewhere(server: LiveServer):
    shown = server.ask("GET", "/", key=None)
    assert shown.status == 200
    assert "default-src 'self'" in shown.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in shown.headers["Content-Security-Policy"]
    assert server.key.encode() not in shown.body
    assert not re.search(rb"(src|href)=.(https?:)?//", shown.body)


def test_a_revoked_key_ends(server: LiveServer):
    from mixture_training.src.feedback_store import FeedbackStore

    key = server.make_key()
    store = FeedbackStore(server.store)
    store.keys.revoke(next(each.id for each in store.keys.list() if each.hint == key[-4:]))
    store.close()
    server.wait_for(lambda: server.chat(key=key).status == 401)


def test_a_key_over_its_budget_gets_429_and_costs_nothing(server: LiveServer):
    key = server.make_key(budget_usd=1e-9)
    before = server.requests()
    answer = server.chat(key=key)
    assert (answer.status, answer.error["code"]) == (429, "insufficient_quota")
    assert server.requests() == before


def test_a_budget_is_spent_and_then_it_is_over(server: LiveServer):
    key = server.make_key(budget_usd=0.01)
    for asked in range(500):
        answer = server.chat(f"How much is 3 and {asked}?", key=key)
        if answer.status == 429:
            break
        assert answer.status == 200
    else:
        pytest.fail("500 requests cost less than a cent")
    assert answer.error["code"] == "insufficient_quota"
    assert asked > 1


def test_a_budget_holds_against_many_at_once(server: LiveServer):
    from mixture_training.src.feedback_store import FeedbackStore

    budget, tokens = 0.05, 5000  # an answer costs 0.01 USD
    key = server.make_key(budget_usd=budget)
    for expert in server.experts.values():
        expert.change(pieces=tokens, latency_s=0.3)
    try:
        with ThreadPoolExecutor(40) as pool:
            ask = partial(server.chat, key=key, max_tokens=tokens)
            statuses = Counter(answer.status for answer in pool.map(lambda _: ask(), range(80)))
    finally:
        for expert in server.experts.values():
            expert.change(pieces=8, latency_s=0.0)
    assert set(statuses) == {200, 429}
    time.sleep(1.0)  # the last decisions are on their way
    with FeedbackStore(server.store) as store:
        spent = next(each.spent_usd for each in store.keys.list() if each.hint == key[-4:])
    assert 0.2 * budget < spent < 2.0 * budget


def test_a_key_may_ask_so_often_and_no_oftener(server: LiveServer):
    key = server.make_key(requests_per_minute=30)
    started = time.monotonic()
    statuses = [server.chat(key=key).status for _ in range(40)]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) <= 30 + (time.monotonic() - started) / 2.0
    refused = server.chat(key=key)
    assert refused.error["code"] == "rate_limit_exceeded"
    assert int(refused.headers["Retry-After"]) >= 1


def test_a_key_reaches_its_experts_only(server: LiveServer):
    key = server.make_key(experts=["small"])
    refused = server.chat(model="large", key=key)
    assert (refused.status, refused.error["code"]) == (403, "model_not_allowed")
    before = server.experts["large"].stats()["requests"]
    for number in range(20):
        answer = server.chat(f"Write a short poem about the colour {number}", key=key)
        assert (answer.status, answer.json["model"]) == (200, "small")
    assert server.experts["large"].stats()["requests"] == before
    assert [model["id"] for model in server.ask("GET", "/v1/models", key=key).json["data"]][3:] == ["small"]
    # Nothing that it is told names another one.
    asked = {"model": "moe", "messages": [{"role": "user", "content": "Write a short poem about the sea."}]}
    told = [
        server.chat(model="larg", key=key),
        server.chat(tools=[{"type": "function", "function": {"name": "f"}}], key=key),
        server.ask("GET", "/v1/models/nope", key=key),
        server.ask("POST", "/v1/route", asked, key=key),
        server.ask("GET", f"/v1/decisions/{answer.json['moe']['decision']}", key=key),
    ]
    assert [each.status for each in told] == [404, 200, 404, 200, 200]
    assert not [each.body for each in told if b"large" in each.body]


def test_a_key_asks_by_its_policies_only(server: LiveServer):
    key = server.make_key(policies=["cost_weight=50"])
    assert server.chat(model="moe:cost_weight=50", key=key).status == 200
    refused = server.chat(model="moe-quality", key=key)
    assert (refused.status, refused.error["code"]) == (403, "policy_not_allowed")


def test_another_keys_decisions_do_not_exist(server: LiveServer):
    stranger = server.make_key()
    mine = server.chat()
    theirs = server.chat(key=stranger)
    for decision in (mine.headers["x-moe-decision"], mine.json["id"]):
        shown = server.ask("GET", f"/v1/decisions/{decision}", key=stranger)
        assert (shown.status, shown.error["code"]) == (404, "decision_not_found")
        assert server.ask("POST", "/v1/feedback", {"id": decision, "score": 0}, key=stranger).status == 404
        for pair in (
            {"better": decision, "worse": theirs.json["id"]},
            {"better": theirs.json["id"], "worse": decision},
        ):
            assert server.ask("POST", "/v1/feedback", {"preference": pair}, key=stranger).status == 404
    assert server.ask("GET", f"/v1/decisions/{mine.json['id']}").status == 200
    unknown = server.ask("GET", "/v1/decisions/0000000000000000", key=stranger)
    assert unknown.error["message"] == shown.error["message"], "an id of another must not differ from one of nobody"


@pytest.mark.parametrize(
    "odd",
    [
        "moe\r\nX-Evil: 1",
        "small\nSet-Cookie: a=b",
        "moe:cost_weight=1\r\n\r\n<script>",
        "../../etc/passwd",
        "moe:target=nan",
        "moe:cost_weight=-1",
        "moe:cost_weight=1e999",
        "moe:budget=__import__('os')",
        "\u202emoe",
        "moe\x00",
        "m" * 1_000_000,
        "👩‍👩‍👧" * 1000,
    ],
    ids=lambda value: value[:24].encode("unicode_escape").decode(),
)
def test_an_odd_model_is_none_and_comes_back_in_no_header(server: LiveServer, odd):
    answer = server.chat(model=odd)
    assert answer.status in (400, 404)
    assert answer.error["param"] == "model"
    assert len(answer.body) < 2000
    assert not {"x-evil", "set-cookie"} & {name.lower() for name in answer.headers}


@pytest.mark.parametrize("field", ["user", "prompt_cache_key"])
@pytest.mark.parametrize(
    "odd", ["a\r\nX-Evil: 1", "\x00", "\u202e" * 100, "x" * 100_000, "'; drop table decisions; --"]
)
def test_odd_names_of_users_and_sessions_harm_nothing(server: LiveServer, field, odd):
    answer = server.chat(**{field: odd})
    assert answer.status in (200, 400)
    assert not {"x-evil", "set-cookie"} & {name.lower() for name in answer.headers}
    assert server.chat().status == 200


@pytest.mark.parametrize("field", ["model", "user", "prompt_cache_key", "x-moe-session"])
def test_long_names_are_not_kept(server: LiveServer, field):
    server.chat()
    before = server.server.pss_mb()
    for number in range(30):
        if field == "model":
            answer = server.chat(model="moe:cost_weight=1" + " " * (3_000_000 + number))
        elif field == "x-moe-session":
            answer = server.chat(headers={field: "s" * (7000 + number)})
        else:
            answer = server.chat(**{field: "n" * (3_000_000 + number)})
        assert answer.status in (200, 400, 404)
    assert server.server.pss_mb() - before < 45.0, "half of what was sent"


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-1", "0", "1e999", "x", "", "1;2", "9" * 5000], ids=lambda value: value[:8] or "empty"
)
def test_an_odd_timeout_is_refused_or_bounded(server: LiveServer, value):
    answer = server.chat(headers={"x-moe-timeout": value})
    assert answer.status in (200, 400)
    if answer.status == 400:
        assert answer.error["message"]


#: Text that must come out as it went in: what looks alike, runs backwards, is not there, or takes many code points.
TEXTS = {
    "NUL": "a\x00b",
    "controls": "".join(map(chr, range(1, 32))),
    "bidi": "\u202eevil\u202c \u2066x\u2069",
    "zero width": "a\u200b\u200d\ufeffb",
    "astral": "𝕬 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👩‍👩‍👧‍👦",
    "combining": "e" + "\u0301" * 5000,
    "unassigned": "\ufffe\uffff\U0010ffff",
    "only spaces": " \t\n\u3000",
    "long": "Ω" * 150_000,
    "one word": "a" * 100_000,
    "template": "{{7*7}} ${7*7} %s %n <script>alert(1)</script> '; drop table decisions; --",
}


@pytest.mark.parametrize("name", TEXTS)
def test_unicode_of_every_kind_goes_through_untouched(server: LiveServer, name):
    answer = server.chat(TEXTS[name], model="small")
    assert answer.status == 200, answer.body[:300]
    _, sent = server.experts["small"].last_request()
    assert sent["messages"][-1]["content"] == TEXTS[name]
    routed = server.chat(TEXTS[name])
    assert routed.status == 200
    assert server.ask("GET", f"/v1/decisions/{routed.json['id']}").status == 200


SECRET = "the-heron-wears-7-yellow-boots"


def test_prompts_answers_and_keys_are_in_no_log_no_error_and_no_file(server: LiveServer):
    key = server.make_key()
    asked = [
        server.chat(f"{SECRET} <<{'5ec2e7' * 2}>>", key=key, user=f"{SECRET}-user"),
        server.chat(f"{SECRET}", key=key, stream=True),
        server.chat(SECRET, key=key, model="large", temperature="hot"),
        server.chat(SECRET, key=key, tools=7),
        server.ask("POST", "/v1/chat/completions", f'{{"messages": "{SECRET}'.encode(), key=key),
        server.ask("POST", "/v1/chat/completions", json.dumps([SECRET]).encode(), key=key),
        server.ask("POST", f"/v1/{SECRET}", CHAT, key=key),
        server.ask("POST", "/v1/feedback", {"id": "0" * 16, "score": 1, "comment": SECRET}, key=key),
        server.ask("GET", f"/v1/models?q={SECRET}", key=f"{key}{SECRET}"),
    ]
    for expert in server.experts.values():
        expert.change(mode="raw", raw=f"HTTP/1.1 500 Oops\r\nContent-Length: {len(SECRET)}\r\n\r\n{SECRET}")
    asked.append(server.chat(SECRET, key=key))
    for expert in server.experts.values():
        expert.change(mode="ok")
    assert [answer.status for answer in asked] == [200, 200, 400, 400, 400, 400, 404, 404, 401, 502]
    for answer in asked[2:]:
        assert SECRET not in answer.body.decode(), "an error quotes what was said"
    time.sleep(0.5)  # the log is written a moment later, and so is the database
    log = server.log()
    assert "/v1/chat/completions" in log
    assert SECRET not in log
    assert key not in log
    for file in server.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert SECRET.encode() not in content, file
            assert key.encode() not in content, file
            assert key.removeprefix("moe-").encode() not in content, file


def test_no_answer_allows_other_sites_or_is_kept_by_caches(server: LiveServer):
    for answer in (server.chat(), server.ask("GET", "/v1/models"), server.ask("OPTIONS", "/v1/models")):
        names = {name.lower(): value for name, value in answer.headers.items()}
        assert not [name for name in names if name.startswith("access-control-")]
        assert names["cache-control"] == "no-store"
        assert names["x-content-type-options"] == "nosniff"
        assert "aiohttp" not in names.get("server", "").lower()
        assert "python" not in names.get("server", "").lower()


def serve(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mixture_training.src.cli", "serve", "--router", str(folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_without_keys_it_listens_on_this_machine_only(server: LiveServer, tmp_path):
    router = server.folder / "router"
    fresh = ["--feedback", str(tmp_path / "none.db"), "--port", "0"]
    for options in (["--host", "0.0.0.0", "--no_auth"], ["--host", "::", "--no_auth"], ["--host", "0.0.0.0"]):
        done = serve(router, *options, *fresh)
        assert done.returncode == 2, done.stderr
        assert "key" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_server_without_keys_answers_no_page_of_others(tmp_path):
    with live_server(tmp_path, "--no_auth") as server:
        for name in ("localhost", "127.0.0.1", f"localhost:{server.port}", "LOCALHOST", "[::1]:80"):
            assert server.ask("POST", "/v1/chat/completions", CHAT, key=None, Host=name).status == 200, name
        for name in ("evil.example", f"evil.example:{server.port}", "localhost.evil.example", "127.0.0.1.nip.io", "1"):
            refused = server.ask("POST", "/v1/chat/completions", CHAT, key=None, Host=name)
            assert (refused.status, refused.error["code"]) == (403, "host_not_allowed"), name
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost.evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            assert server.ask("POST", "/v1/chat/completions", CHAT, key=None, **headers).status == 403, headers
        plain = server.ask("POST", "/v1/chat/completions", CHAT, key=None, Content_Type="text/plain")
        assert plain.status == 415, "a form of another site sends text/plain without asking first"


def test_a_poisoned_router_folder_is_not_taken_into_use(tmp_path):
    with live_server(tmp_path) as server:
        version = server.chat().headers["x-moe-router-version"]
        file = server.folder / "router" / "router.json"
        good = file.read_bytes()
        damaged = json.loads(good)
        damaged["files"] = dict.fromkeys(damaged["files"], "0" * 64)
        for content in (json.dumps(damaged).encode(), b"[" * 100_000, b"", good[: len(good) // 2]):
            file.write_bytes(content)
            time.sleep(1.5)  # it looks once a second
            answer = server.chat()
            assert (answer.status, answer.headers["x-moe-router-version"]) == (200, version)
        file.write_bytes(good)
        assert server.chat().status == 200
        assert "Traceback" not in server.log()


def test_the_table_names_tests_that_exist():
    table = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", table))
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 30
    assert not [name for name in sorted(named) if f"def {name}(" not in tests and not list(ROOT.rglob(f"{name}.py"))]
