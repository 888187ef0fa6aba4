"""What is said before the first call: what is reused, what is asked, what it costs at least, likely and at most."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build.src.building import plan_build
from dataset_build.src.config import BuildConfig
from dataset_build.src.experts.echo import EchoExpert
from dataset_build.src.instruction_store import PAGE, InstructionStore
from dataset_build.src.planning import make_plan
from dataset_build.src.records import CallEstimate, Instruction, Price, Response
from dataset_build.src.response_store import ResponseStore, request_key
from tests.dataset_build.sample_experts import Batched, Shout


class Metered(EchoExpert):
    """Reads 10 tokens, 16 at most, and writes 100 at most."""

    def estimate(self, instruction):
        return CallEstimate(10, 16, 100)


PRICE = Price(prompt_per_million=1e6, completion_per_million=1e5)


def instructions(count):
    return InstructionStore(Instruction(id=f"i{n:05d}", text=f"text {n}") for n in range(count))


def test_without_a_journal_everything_is_asked_and_nothing_is_likely():
    plan = make_plan(instructions(20), [Metered("e", price=PRICE)], None, timeout_s=60)
    (expert,) = plan.experts
    assert (plan.instructions, plan.spent_usd) == (20, 0.0)
    assert (expert.reused, expert.to_ask, expert.failed_before) == (0, 20, 0)
    assert expert.prompt_tokens == 200
    assert expert.least_usd == pytest.approx(200)
    assert expert.likely_usd is None
    assert expert.most_usd == plan.most_usd == pytest.approx(20 * (16 + 10))


def test_answers_are_reused_failures_are_asked_again_and_means_make_the_rest_likely(tmp_path):
    expert = Metered("e", price=PRICE)
    key = request_key(expert)
    count = PAGE + 40
    with ResponseStore(tmp_path / "journal.sqlite") as store:
        for n in range(PAGE + 10):
            store.put(key, Response(f"i{n:05d}", "e", text="x", completion_tokens=20, cost=12.0))
        for n in range(PAGE + 10, PAGE + 15):
            store.put(key, Response(f"i{n:05d}", "e", error="timeout: slow", at_risk=1.0))
        store.put("another request", Response("i00550", "e", text="x", cost=1000.0))
        store.put(key, Response("of another source", "e", text="x", completion_tokens=20, cost=12.0))
        plan = make_plan(instructions(count), [expert, Metered("fresh")], store, timeout_s=60)
        spent = store.spent_usd
    planned, fresh = plan.experts
    assert (planned.reused, planned.to_ask, planned.failed_before) == (PAGE + 10, 30, 5)
    assert planned.likely_usd == pytest.approx(30 * 12.0)
    assert (fresh.to_ask, fresh.likely_usd, fresh.most_usd) == (count, None, 0.0)
    assert plan.spent_usd == spent == pytest.approx((PAGE + 11) * 12.0 + 5.0 + 1000.0)


def test_time_that_is_priced_counts_with_its_deadline_and_tools_have_no_tokens():
    price = Price(per_core_hour=3.6)
    quick = Shout(price=price)
    quick.timeout_s = 2.0
    plan = make_plan(instructions(10), [quick, Shout("slow", price=price), Batched(price=price)], None, timeout_s=10)
    first, second, batch = plan.experts
    assert first.most_usd == pytest.approx(10 * 0.002)
    assert second.most_usd == pytest.approx(10 * 0.01)
    assert batch.most_usd >= second.most_usd
    assert (first.prompt_tokens, first.least_usd) == (0, 0.0)


def test_where_nothing_bounds_an_answer_the_whole_has_no_bound_and_says_so():
    plan = make_plan(instructions(3), [EchoExpert("e", price=PRICE), Metered("m", price=PRICE)], None, timeout_s=60)
    assert plan.experts[0].most_usd is None
    assert plan.experts[1].most_usd == pytest.approx(3 * 26)
    assert plan.most_usd is None


@given(
    prices=st.tuples(*[st.floats(0, 1e6)] * 3, st.none() | st.floats(0, 2e6)),
    read=st.integers(0, 16),
    cached=st.none() | st.integers(0, 16),
    written=st.integers(0, 100),
)
def test_no_call_within_its_bounds_costs_more_than_the_most_it_was_said_to(prices, read, cached, written):
    prompt, completion, per_call, cached_price = prices
    price = Price(prompt, completion, per_call, cached_per_million=cached_price)
    bound = price.at_most(CallEstimate(10, 16, 100))
    assert bound is not None
    assert price.of_tokens(read, written, cached) <= bound * (1 + 1e-12) + 1e-12


def test_a_dry_run_asks_no_hub_for_a_local_model(tmp_path, monkeypatch, caplog):
    pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("dataset_build.src.experts.model_place.call_hub", lambda *_: pytest.fail("asked the hub"))
    model = {"provider": "transformers_local", "name": "local", "model": "nobody/has-this", "max_new_tokens": 7}
    price = {"completion_per_million": 1e6}
    (tmp_path / "q.jsonl").write_text('{"instruction": "one"}\n{"instruction": "two"}\n')
    config = BuildConfig(
        sources=[{"source": "file", "path": str(tmp_path / "q.jsonl")}],
        experts=[{**model, "price": price}],
        output=tmp_path / "data",
    )
    (expert,) = plan_build(config).experts
    assert (expert.to_ask, expert.most_usd) == (2, pytest.approx(14.0))
    assert "nobody/has-this is not on this machine" in caplog.text
