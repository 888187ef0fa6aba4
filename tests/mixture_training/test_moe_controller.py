import asyncio
import threading
from dataclasses import replace

import pytest

from dataset_build import (
    Answer,
    ChatPiece,
    ConfigError,
    DataError,
    EchoExpert,
    Expert,
    ExpertError,
    ExpertRefusedError,
    ExpertUnavailableError,
)
from mixture_training import MoEController, MoEResult
from mixture_training.src.artifacts import Router
from mixture_training.src.receipt import Receipt

SUM, POEM = "please compute 2 and 40", "write a poem about the sea"


class Down(Expert):
    async def answer(self, instruction):
        raise ExpertUnavailableError("out of service", expert=self.name, kind="http_503", retry_after_s=500.0)


@pytest.fixture
def moe(router_folder, pool):
    with MoEController.load(router_folder, experts=pool) as controller:
        yield controller


def test_an_instruction_is_answered_by_the_right_expert(moe):
    result = moe.process_instruction(SUM)
    assert isinstance(result, MoEResult)
    assert (result.response, result.expert, result.category) == ("42", "adder", "sums")
    assert result.confidence > 0.5
    assert result.expected_score > 0.5
    assert result.cost > 0
    assert result.latency_s > 0
    assert [option.expert for option in result.alternatives] == ["poet"]
    assert [attempt.error for attempt in result.attempts] == [None]
    assert "adder" in result.reason
    poem = moe.process_instruction(POEM)
    assert (poem.expert, poem.cost) == ("poet", 0.01)
    assert poem.id != result.id


def test_a_policy_may_be_named_for_one_call(moe):
    result = moe.process_instruction(POEM, policy="cost_weight=100000")
    assert result.attempts[0].expert == "adder"
    assert moe.recommend(POEM).expert == "poet"
    with pytest.raises(ConfigError, match="Unknown policy"):
        moe.process_instruction(POEM, policy="best")


def test_a_tool_that_declines_gives_way_to_the_next_expert(moe):
    result = moe.process_instruction(POEM, policy="cost_weight=100000")
    assert [attempt.expert for attempt in result.attempts] == ["adder", "poet"]
    assert result.attempts[0].error.startswith("declined: ")
    assert result.expert == "poet"


def test_an_expert_that_cannot_be_loaded_is_passed_over(router_folder, tmp_path, caplog):
    router = Router.load(router_folder)
    gone = replace(
        router.experts[0], config={"provider": "replay", "path": str(tmp_path / "gone.csv"), "name": "adder"}
    )
    router.experts = (gone, replace(router.experts[1], config={"provider": "echo", "name": "poet"}))
    with MoEController(router, feedback=tmp_path / "feedback.sqlite3") as moe:
        assert moe.process_instruction(SUM).expert == "poet"
    assert "'adder' is passed over" in caplog.text


def test_every_decision_is_remembered_and_may_be_judged(moe):
    result = moe.process_instruction(SUM)
    feedback = moe.record_feedback(result.id, score=1.0, comment="right")
    assert feedback.score == 1.0
    stored = moe.feedback_store.decision(result.id)
    assert (stored.instruction, stored.expert, stored.response) == (None, "adder", None)
    assert stored.features is not None
    assert stored.propensities == {"adder": 1.0, "poet": 0.0}
    with pytest.raises(ConfigError, match="No decision 'other'"):
        moe.record_feedback("other", score=1.0)


def test_recommending_calls_nobody_and_remembers_nothing(router_folder):
    with MoEController.load(router_folder) as moe:
        assert moe.recommend(SUM).expert == "adder"
    assert [path.name for path in router_folder.parent.iterdir()] == ["router"]


def test_without_a_connection_to_the_experts_it_says_how_to_give_one(router_folder):
    with MoEController.load(router_folder) as moe, pytest.raises(ConfigError, match="moe run --experts FILE.yaml"):
        moe.process_instruction(SUM)


def test_experts_are_built_from_what_the_router_knows(echo_router_folder):
    with MoEController.load(echo_router_folder) as moe:
        assert moe.process_instruction(SUM).response == SUM


def test_experts_may_be_given_by_file(router_folder, tmp_path):
    file = tmp_path / "experts.yaml"
    file.write_text("- {provider: echo, name: adder}\n- {provider: echo, name: poet}\n")
    with MoEController.load(router_folder, experts=file) as moe:
        assert moe.process_instruction(SUM).response == SUM


def test_experts_of_other_names_are_refused(router_folder):
    with MoEController.load(router_folder, experts=[EchoExpert("echo")]) as moe:  # noqa: SIM117
        with pytest.raises(ConfigError, match=r"None of the experts given \(echo\)"):
            moe.process_instruction(SUM)


def test_an_expert_that_is_not_there_is_passed_over(router_folder, pool, caplog):
    with MoEController.load(router_folder, experts=pool[1:]) as moe:
        assert moe.process_instruction(SUM).expert == "poet"
    assert "no connection to adder" in caplog.text


def test_a_failing_expert_is_replaced_by_the_next(router_folder, pool):
    with MoEController.load(router_folder, experts=[Down("adder"), pool[1]]) as moe:
        result = moe.process_instruction(SUM)
    assert result.expert == "poet"
    assert [(a.expert, a.error) for a in result.attempts] == [("adder", "http_503: out of service"), ("poet", None)]
    assert [option.expert for option in result.alternatives] == ["adder"]


def test_when_all_fail_it_says_so_and_remembers_it(router_folder):
    with MoEController.load(router_folder, experts=[Down("adder"), Down("poet")]) as moe:
        with pytest.raises(ExpertUnavailableError, match=r"every expert failed \(adder: http_503.*poet: http_503"):
            moe.process_instruction(SUM)
        (decision,) = moe.feedback_store.decisions()
    assert decision.expert is None
    assert len(decision.attempts) == 2


def test_a_batch_keeps_its_order_and_a_failure_its_place(router_folder, pool):
    class Moody(Expert):
        async def answer(self, instruction):
            if "3" in instruction.text:
                raise ExpertRefusedError("no threes", expert=self.name)
            return Answer(instruction.text)

    with MoEController.load(router_folder, experts=[Moody("adder"), Moody("poet")]) as moe:
        texts = [f"add {number} and 1 please" for number in range(6)]
        results = moe.process_batch(texts, concurrency=2)
        assert [getattr(result, "response", None) for result in results] == [*texts[:3], None, *texts[4:]]
        assert isinstance(results[3], ExpertError)
        assert len(moe.feedback_store.decisions()) == 6
        assert moe.process_batch([]) == []


def test_it_serves_several_event_loops_and_threads_at_once(moe):
    async def many():
        return await asyncio.gather(*(moe.aprocess_instruction(f"add {n} and 1 please") for n in range(8)))

    found = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: asyncio.run(many())})) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all([result.response for result in found[i]] == [str(n + 1) for n in range(8)] for i in range(2))
    assert len(moe.feedback_store.decisions()) == 16


def test_feedback_may_be_kept_elsewhere(router_folder, pool, tmp_path):
    with MoEController.load(router_folder, experts=pool, feedback=tmp_path / "notes.sqlite3") as moe:
        moe.process_instruction(SUM)
    assert (tmp_path / "notes.sqlite3").is_file()
    assert not router_folder.with_name("router.feedback.sqlite3").exists()


def test_a_router_without_a_folder_needs_a_place_for_feedback(router_folder, pool, tmp_path):
    router = Router.load(router_folder)
    router.folder = None
    with MoEController(router, experts=pool) as moe:
        with pytest.raises(ConfigError, match="feedback=PATH"):
            moe.process_instruction(SUM)
        with pytest.raises(ConfigError, match="has no folder to write a new version to"):
            moe.update_models()


def test_update_models_learns_as_asked_and_uses_the_new_version_from_then_on(moe, monkeypatch):
    asked = []

    def update_router(folder, store, *, kind, canary):
        asked.append((kind, canary))
        router = Router.load(folder)
        router.data = {**router.data, "version": 2}
        router.save(folder, overwrite=True)
        return "report"

    monkeypatch.setattr("mixture_training.src.updating.update_router", update_router)
    before = moe.process_instruction(SUM)
    assert moe.update_models("full") == "report"
    assert asked == [("full", None)]
    after = moe.process_instruction(SUM)
    assert (before.router_version[:2], after.router_version[:2]) == ("1-", "2-")
    assert after.response == "42"


def test_feedback_that_was_given_is_learned_from_without_any_text(moe):
    for number in range(30):
        result = moe.process_instruction(f"add {number} and 7 please")
        moe.record_feedback(result.id, 1.0, user="ann")
    report = moe.update_models()
    assert (report.kind, report.judgements) == ("quick", 30)


def test_texts_are_kept_only_where_they_are_to_be(router_folder, pool):
    with MoEController.load(router_folder, experts=pool, keep_texts=True) as moe:
        result = moe.process_instruction(SUM)
        stored = moe.feedback_store.decision(result.id)
        assert (stored.instruction, stored.response) == (SUM, "42")
        moe.record_feedback(result.id, correction="forty-two")
        assert moe.feedback_store.feedback(result.id)[0].correction == "forty-two"


def test_a_judgement_is_one_of_three(moe):
    better, worse = moe.process_instruction(SUM), moe.process_instruction(SUM)
    assert moe.record_feedback(better.id, preference=worse.id).preferred_to == worse.id
    assert moe.record_feedback(worse.id, correction="43").correction is None  # texts are not kept
    for wrong in ({}, {"score": 1.0, "preference": worse.id}):
        with pytest.raises(ConfigError, match="Give one of score, preference and correction"):
            moe.record_feedback(better.id, **wrong)


def test_a_stream_tells_what_was_decided_then_the_pieces_then_the_result(moe):
    first, *pieces, last = moe.stream(SUM)
    assert isinstance(first, Receipt)
    assert "".join(event.piece.text for event in pieces) == "42"
    assert (last.response, last.id) == ("42", first.id)
    assert moe.feedback_store.decision(last.id).expert == "adder"


def test_who_stops_reading_a_stream_leaves_a_cancelled_decision(router_folder, pool):
    class Slow(Expert):
        async def stream_chat(self, call):
            for number in range(1000):
                yield ChatPiece({"content": f"{number} "})
                await asyncio.sleep(0.01)

        async def answer(self, instruction):
            return Answer("never")

    with MoEController.load(router_folder, experts=[Slow("adder"), pool[1]]) as moe:
        events = moe.stream(SUM)
        receipt, piece = next(events), next(events)
        assert piece.piece.text == "0 "
        events.close()
        stored = moe.feedback_store.decision(receipt.id)
        assert (stored.outcome, stored.expert) == ("cancelled", "adder")
        assert [attempt.expert for attempt in stored.attempts] == ["adder"]


def test_a_stream_of_another_event_loop_and_an_error_in_it(router_folder, moe):
    async def collect(controller):
        return [event async for event in controller.astream(SUM)]

    assert asyncio.run(collect(moe))[-1].response == "42"
    with MoEController.load(router_folder, experts=[Down("adder"), Down("poet")]) as down:
        with pytest.raises(ExpertUnavailableError, match="every expert failed"):
            asyncio.run(collect(down))
        with pytest.raises(ExpertUnavailableError, match="every expert failed"):
            list(down.stream(SUM))


def test_messages_are_taken_wherever_a_text_is(moe):
    talk = [{"role": "system", "content": "You are kind."}, {"role": "user", "content": SUM}]
    assert moe.process_instruction(talk).expert == "adder"
    assert moe.recommend(talk).expert == "adder"
    assert [result.response for result in moe.process_batch([talk, SUM])] == ["42", "42"]
    with pytest.raises(ConfigError, match="Message 0 has the role 'me'"):
        moe.process_instruction([{"role": "me", "content": SUM}])


def test_one_expert_may_be_named(moe):
    result = moe.process_instruction(SUM, expert="poet")
    assert (result.expert, result.policy) == ("poet", "expert")
    assert [attempt.expert for attempt in result.attempts] == ["poet"]
    with pytest.raises(ConfigError, match="There is no expert 'poets'. Did you mean 'poet'"):
        moe.process_instruction(SUM, expert="poets")


def test_a_decision_is_explained_and_comes_out_the_same_again(moe):
    result = moe.process_instruction(SUM)
    receipt = moe.explain(result.id)
    assert receipt == result.receipt
    assert receipt.recompute().agrees
    assert receipt.replay(moe.router, SUM).agrees
    assert receipt.nearest(moe.router)[0].category == "sums"


def test_an_answer_may_be_given_again_where_a_cache_is_asked_for(router_folder, pool):
    with MoEController.load(router_folder, experts=pool, cache=True) as moe:
        first = moe.process_instruction(SUM, options={"temperature": 0})
        again = moe.process_instruction(SUM, options={"temperature": 0})
        assert (again.response, again.cost, again.is_cached) == ("42", 0.0, True)
        assert again.receipt.cached_from == first.id
        assert moe.feedback_store.decision(again.id).attempts == ()
        assert not moe.process_instruction(SUM).is_cached


def test_no_router_and_a_newer_router_are_told_apart(tmp_path):
    with pytest.raises(ConfigError, match="No router in"):
        MoEController.load(tmp_path)
    (tmp_path / "router.json").write_text('{"format_version": 99}')
    with pytest.raises(DataError, match="newer moe-toolkit"):
        MoEController.load(tmp_path)
