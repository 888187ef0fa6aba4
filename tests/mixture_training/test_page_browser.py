"""The page, in a headless browser before a real server whose experts do what the test wants."""

import json
import re
import time

import pytest

from mixture_training.src.feedback_store import FeedbackStore
from tests.mixture_training.live_server import LiveServer, live_server
from tests.mixture_training.page_browser import watched

pytestmark = pytest.mark.slow

SUM = "Maria buys 3 pencils at 40 cents each and pays with a 100 dollar bill. How much money is left?"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("page"), "--no_auth", "--keep_texts") as running:
        yield running


def latest_of(server: LiveServer) -> dict:
    """Return the latest decision."""
    found = server.ask("GET", "/v1/page/live", key=None).json["latest"][0]["id"]
    return server.ask("GET", f"/v1/decisions/{found}", key=None).json


def feedback_of(server: LiveServer) -> list:
    with FeedbackStore(server.store) as store:
        return store.feedback()


def test_what_is_typed_is_decided_at_once_and_answered_with_its_cost(server, browser):
    with watched(browser, server.url) as seen:
        page = seen.page
        before = server.requests()
        page.fill("#view-try textarea", SUM)
        seen.see(".decision .who")
        assert server.requests() == before  # nobody was called for it
        assert page.locator(".decision .mark").count() == 2
        chosen = page.inner_text(".decision .who")
        assert page.locator(".decision .mark.chosen").get_attribute("data-expert") == chosen
        assert chosen in page.inner_text(".decision .why")
        page.click("text=All 2 experts as a table")
        page.locator(".receipt tbody tr").nth(1).wait_for()
        assert page.locator(".receipt tbody tr").count() == 2
        page.click("#view-try button.primary")
        seen.see(".judge")
        assert re.search(r"w:\d", page.inner_text("#view-try .answer"))
        assert page.inner_text("#view-try .tiles dd >> nth=0").startswith(chosen)
        assert "$" in page.inner_text("#view-try .tiles dd >> nth=1")
        assert page.locator(".attempts li.ok").count() == 1
        assert page.get_attribute("#view-try .answer", "aria-live") == "polite"
        assert page.get_attribute("#view-try .answer", "aria-busy") == "false"


def test_the_answer_is_what_the_expert_said_and_the_policy_what_was_chosen(server, browser):
    with watched(browser, server.url) as seen:
        for choice, policy in (("moe-quality", "quality"), ("weight", "cost_weight="), ("large", "expert")):
            seen.page.select_option("#view-try select", choice)
            seen.ask(f"<<abc1>> {SUM}")
            assert seen.page.inner_text("#view-try .answer").startswith("abc1:0")
            shown = seen.page.inner_text("#view-try .answer-box .attempts")
            server.wait_for(lambda policy=policy: latest_of(server)["policy"].startswith(policy))
            assert latest_of(server)["expert"] in shown
        assert latest_of(server)["expert"] == "large"


def test_the_slider_goes_from_quality_to_cheap(server, browser):
    with watched(browser, server.url) as seen:
        seen.page.fill("#view-try textarea", SUM)
        seen.page.select_option("#view-try select", "weight")
        slider = seen.see("#view-try input[type=range]")
        weights = []
        for step in ("0", "1", "40"):
            slider.evaluate(f"node => {{ node.value = {step}; node.dispatchEvent(new Event('input')); }}")
            weights.append(seen.page.inner_text("#view-try .policy output"))
        assert weights[0] == "Score alone counts."
        assert all("a hundredth of score is worth" in words for words in weights[1:])
        seen.see(".facts", "cost_weight=")


def test_a_chat_is_pasted_as_json_and_can_be_sent_as_text(server, browser):
    chat = [{"role": "system", "content": "be brief"}, {"role": "user", "content": SUM}]
    with watched(browser, server.url) as seen:
        seen.ask(json.dumps({"messages": chat, "temperature": 0.5}))
        assert "chat of 2 messages with temperature" in seen.page.inner_text("#view-try .field")
        asked = [expert.last_request()[1] for expert in server.experts.values() if expert.stats()["requests"]]
        assert [body["temperature"] for body in asked if body["messages"] == chat] == [0.5]
        seen.page.check("#view-try .field input[type=checkbox]")
        seen.ask(json.dumps({"messages": chat}))
        server.wait_for(lambda: latest_of(server)["instruction"].startswith('{"messages"'))
        seen.page.uncheck("#view-try .field input[type=checkbox]")
        seen.page.fill("#view-try textarea", '[{"role": "user", ')
        assert "is no JSON" in seen.page.inner_text("#view-try .field")


def test_a_thumb_and_a_correction_are_feedback(server, browser):
    before = len(feedback_of(server))
    with watched(browser, server.url) as seen:
        seen.ask(SUM)
        seen.page.click("text=Good answer")
        seen.see(".judge [role=status]", "Recorded: good")
        assert seen.page.get_attribute("text=Good answer", "aria-pressed") == "true"
        assert seen.page.is_disabled("text=Bad answer")
        seen.ask(SUM)
        seen.page.click("text=Correct it")
        seen.page.fill(".judge textarea", "98.80 dollars")
        seen.page.click("text=Send the correction")
        seen.see(".judge [role=status]", "not right")
    given = [(one.kind, one.score, one.correction) for one in feedback_of(server)[before:]]
    assert given == [("score", 1.0, None), ("correction", 0.0, "98.80 dollars")]


def test_names_are_hidden_until_the_vote_which_is_a_preference(server, browser):
    before = len(feedback_of(server))
    orders = set()
    with watched(browser, server.url, "compare") as seen:
        for _ in range(12):
            seen.page.fill("#view-compare textarea", SUM)
            seen.page.click("text=Ask them")
            seen.see(".vote button", "A is better")
            hidden = seen.page.inner_text("#view-compare .stage")
            assert not [name for name in server.experts if name in hidden]
            seen.page.click("text=A is better")
            seen.see(".vote [role=status]", "Recorded")
            orders.add(tuple(seen.page.locator("#view-compare h2").all_inner_texts()))
            given = feedback_of(server)[-1]
            with FeedbackStore(server.store) as store:
                better, worse = store.decision(given.decision_id), store.decision(given.preferred_to)
            first = seen.page.locator("#view-compare h2").first.inner_text().split()[0]
            assert (given.kind, better.expert) == ("preference", first)
            assert {better.expert, worse.expert} == set(server.experts)
        seen.page.click("text=Ask them")
        seen.see(".vote button", "Both are bad")
        seen.page.click("text=Both are bad")
        seen.see(".vote [role=status]", "Recorded")
    assert len(orders) == 2  # drawn by chance: 1 in 2,048 that it is not
    assert [one.score for one in feedback_of(server)[-2:]] == [0.0, 0.0]
    assert len(feedback_of(server)) == before + 14


def test_an_expert_that_fails_cannot_be_voted_for(server, browser):
    server.experts["small"].change(mode="error")
    try:
        with watched(browser, server.url, "compare", expected=("502",)) as seen:
            seen.page.fill("#view-compare textarea", SUM)
            seen.page.click("text=Ask them")
            seen.see(".vote .notice", "nothing to vote on")
            assert "It did not answer." in seen.page.inner_text("#view-compare .stage")
    finally:
        server.experts["small"].change(mode="ok")


def test_live_numbers_grow_by_themselves_until_they_are_paused(server, browser):
    server.chat(key=None)
    with watched(browser, server.url, "live") as seen:
        figure = "#view-live .tiles dd >> nth=0"
        seen.see(figure)
        before = int(seen.page.inner_text(figure).split()[0].replace(",", ""))
        for _ in range(3):
            server.chat(key=None)
        seen.page.wait_for_function(
            "([least]) => parseInt(document.querySelector('#view-live .tiles dd').textContent) >= least",
            arg=[before + 3],
        )
        assert seen.page.locator("#view-live .chart rect").count() > 0
        seen.page.click("text=Pause")
        asked = len(seen.addresses)
        time.sleep(3.5)
        assert len(seen.addresses) == asked
        seen.page.click("#view-live a >> nth=0")  # from a request to its receipt
        seen.see("#view-try .decision .who")
        seen.see("#view-try .answer-box", "Decision")


def test_a_server_nobody_has_asked_says_so(tmp_path, browser):
    with live_server(tmp_path, "--no_auth") as fresh, watched(browser, fresh.url, "live") as seen:
        seen.see("#view-live", "No traffic yet: ask something under Try")


def test_the_router_is_told_with_its_versions(server, browser):
    with watched(browser, server.url, "router") as seen:
        seen.see("#view-router .verdict", "95 % interval")
        seen.see("#view-router .versions", "Version 1")
        assert "in use" in seen.page.inner_text("#view-router .versions")
        assert seen.page.locator("#view-router .routed").count() == 1
        rows = seen.page.locator("#view-router table").last.locator("tbody tr")
        assert rows.count() == 2
        seen.page.click("text=Measure drift")
        seen.page.wait_for_function(
            "() => /like those of training|Too little/.test(document.querySelector('.drift').textContent)"
        )
        version = seen.page.inner_text("#version")
        assert server.ask("GET", "/readyz", key=None).json["router_version"] in version


def test_every_expert_failing_is_told_with_what_was_tried(server, browser):
    for expert in server.experts.values():
        expert.change(mode="error")
    try:
        with watched(browser, server.url, expected=("502",)) as seen:
            seen.ask(SUM)
            assert "Every expert failed" in seen.page.inner_text("#view-try .answer-box .notice")
            seen.see("#view-try .attempts li.not-ok")
            assert "Remembered as decision" in seen.page.inner_text("#view-try .answer-box")
    finally:
        for expert in server.experts.values():
            expert.change(mode="ok")


def test_an_answer_that_breaks_off_stays_and_is_marked(server, browser):
    for expert in server.experts.values():
        expert.change(mode="cut")
    try:
        with watched(browser, server.url) as seen:
            seen.ask(f"<<cut1>> {SUM}")
            seen.see("#view-try .answer-box .notice")
            assert "cut1:0" in seen.page.inner_text("#view-try .answer")
    finally:
        for expert in server.experts.values():
            expert.change(mode="ok")


def test_a_server_that_goes_away_is_missed_and_found_again(tmp_path, browser):
    with live_server(tmp_path, "--no_auth") as going, watched(browser, going.url, expected=("ERR_CONNECTION",)) as seen:
        seen.see("#view-try textarea")
        seen.page.route("**/*", lambda route: route.abort("connectionrefused"))
        seen.ask(SUM)
        seen.see("#banner", "cannot be reached")
        assert "cannot be reached" in seen.page.inner_text("#view-try .answer-box .notice")
        seen.page.unroute("**/*")
        seen.page.wait_for_function("() => document.querySelector('#banner').textContent === ''")
        seen.ask(SUM)
        seen.see("#view-try .judge")
