import asyncio
import hashlib
from dataclasses import replace

import numpy as np
import pytest

from dataset_build import (
    Answer,
    Capabilities,
    ChatCall,
    ChatPiece,
    ConfigError,
    Expert,
    ExpertRefusedError,
    ExpertUnavailableError,
    Price,
)
from mixture_training.src.artifacts import Router
from mixture_training.src.bandit import Explorer
from mixture_training.src.conversation import routing_text
from mixture_training.src.dispatcher import Ask, Dispatcher, MoEResult, NobodyAnsweredError
from mixture_training.src.live_router import LiveRouter
from mixture_training.src.model_executor import Ended, Executor, Piece
from mixture_training.src.receipt import Receipt
from mixture_training.src.response_cache import ResponseCache

SUM, POEM = "please compute 2 and 40", "write a poem about the sea"
ALL = Capabilities(tools=True, vision=True, audio=True, json_mode=True, context_tokens=2000)
TOOLS = {"tools": [{"type": "function", "function": {"name": "now"}}]}


class Talker(Expert):
    """Answers with its name; counts what it is asked."""

    def __init__(self, name, capabilities=Capabilities(), price=None):  # noqa: B008 - a frozen default
        super().__init__(name, price=price)
        self.capabilities = capabilities
        self.calls = []

    async def answer(self, instruction):
        raise AssertionError("conversations are asked")

    async def chat(self, call):
        self.calls.append(call)
        return Answer(f"I am {self.name}.", prompt_tokens=1000, completion_tokens=5, finish_reason="stop")


class Breaks(Talker):
    def __init__(self, name, failure=None):
        super().__init__(name)
        self.failure = failure or ExpertUnavailableError("gone", expert=name, kind="connection")

    async def chat(self, call):
        raise self.failure

    async def stream_chat(self, call):
        yield ChatPiece({"content": "I am "})
        raise self.failure


class Hangs(Talker):
    async def chat(self, call):
        await asyncio.sleep(60)

    async def stream_chat(self, call):
        yield ChatPiece({"content": "I am "})
        await asyncio.sleep(60)


@pytest.fixture
def router(router_folder):
    return Router.load(router_folder)


@pytest.fixture
def made(router):
    """Return a dispatcher of some experts, and the list that decisions go to."""

    def make(*experts, **options):
        kept = []
        executor = Executor({expert.name: expert for expert in experts}, retries=0)
        return Dispatcher(LiveRouter(router), executor, kept.append, **options), kept

    return make


def ask(text=SUM, options=None, **rest):
    return Ask(ChatCall(({"role": "user", "content": text},), options or {}), **rest)


def run(dispatcher, *asks):
    async def answer_all():
        return [await dispatcher.answer(one) for one in asks]

    return asyncio.run(answer_all())


async def collected(events):
    return [event async for event in events]


def test_a_decision_holds_what_learning_needs_and_no_text(made, router):
    dispatcher, (kept) = made(Talker("adder"), Talker("poet"), hash_of=lambda name: f"hash of {name}")
    (result,) = run(dispatcher, ask(session="s", user="u", key_id="k"))
    (decision,) = kept
    assert (decision.id, decision.outcome, decision.expert) == (result.id, "answered", "adder")
    assert (decision.instruction, decision.response) == (None, None)
    assert (decision.session, decision.user, decision.key_id) == ("hash of s", "hash of u", "k")
    assert decision.router_version == result.router_version == LiveRouter(router).main.version
    assert decision.propensities == {"adder": 1.0, "poet": 0.0}
    assert decision.features_hash == hashlib.sha256(decision.features).hexdigest()[:16]
    vector = router.classifier.vectors_of([SUM])[0]
    assert np.frombuffer(decision.features, "<f2").tolist() == vector.astype(np.float16).tolist()
    assert Receipt.from_json(decision.receipt) == result.receipt
    assert result.usage.prompt_tokens == 1000


def test_texts_names_and_vectors_are_kept_as_the_set_up_says(made):
    dispatcher, kept = made(Talker("adder"), Talker("poet"), keep_texts=True, keep_features=False)
    run(dispatcher, ask(user="u"))
    assert (kept[0].instruction, kept[0].response) == (SUM, "I am adder.")
    assert (kept[0].user, kept[0].features) == (None, None)
    assert kept[0].features_hash is not None


def test_deciding_calls_nobody_and_says_what_answering_does(made):
    adder = Talker("adder")
    dispatcher, kept = made(adder, Talker("poet"))
    receipt = dispatcher.decide(ask())
    assert (receipt.chosen, receipt.ranking) == ("adder", ("adder", "poet"))
    assert (adder.calls, kept) == ([], [])
    assert dispatcher.decide(ask(POEM)).chosen == "poet"
    assert dispatcher.decide(ask(POEM, policy="cost_weight=100000")).chosen == "adder"


def test_when_all_fail_it_is_remembered_and_the_error_names_the_decision(made):
    dispatcher, kept = made(Breaks("adder"), Breaks("poet"))
    with pytest.raises(NobodyAnsweredError, match="every expert failed") as failure:
        run(dispatcher, ask())
    assert (kept[0].id, kept[0].outcome, kept[0].expert) == (failure.value.decision_id, "failed", None)
    assert [attempt.expert for attempt in failure.value.attempts] == ["adder", "poet"]


def test_who_goes_away_leaves_a_cancelled_decision(made):
    dispatcher, kept = made(Hangs("adder"), Talker("poet"))

    async def impatient():
        async with asyncio.timeout(0.2):
            await dispatcher.answer(ask())

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())
    assert (kept[0].outcome, kept[0].expert) == ("cancelled", None)
    assert [attempt.expert for attempt in kept[0].attempts] == ["adder"]


def test_a_stream_ends_after_its_decision_is_remembered(made):
    dispatcher, kept = made(Talker("adder"), Talker("poet"))

    async def read():
        seen = []
        async for event in dispatcher.stream(ask()):
            seen.append((event, len(kept)))
        return seen

    (receipt, _), *middle, (ended, _), (result, _) = asyncio.run(read())
    assert isinstance(receipt, Receipt)
    assert isinstance(ended, Ended)
    assert isinstance(result, MoEResult)
    last, remembered = middle[-1]
    assert isinstance(last, Piece)
    assert (last.piece.finish_reason, remembered) == ("stop", 1)
    assert "".join(event.piece.text for event, _ in middle) == result.response == "I am adder."
    assert (kept[0].id, receipt.id) == (result.id, result.id)


def test_a_stream_that_breaks_hands_out_its_pieces_and_fails(made):
    dispatcher, kept = made(Breaks("adder"), Talker("poet"))

    pieces = []

    async def read():
        async for event in dispatcher.stream(ask()):
            pieces.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(NobodyAnsweredError, match="the answer broke off") as failure:
        asyncio.run(read())
    assert [event.piece.text for event in pieces[1:]] == ["I am "]
    assert (kept[0].id, kept[0].outcome, kept[0].expert) == (failure.value.decision_id, "failed", None)


def test_a_stream_that_is_closed_ends_the_call_and_what_was_seen_of_it_can_be_judged(made):
    dispatcher, kept = made(Hangs("adder"), Talker("poet"), keep_texts=True)

    async def read():
        events = dispatcher.stream(ask())
        await anext(events)
        piece = await anext(events)
        await events.aclose()
        return piece

    assert asyncio.run(read()).piece.text == "I am "
    assert len(kept) == 1
    assert (kept[0].outcome, kept[0].attempts[0].expert) == ("cancelled", "adder")
    assert (kept[0].expert, kept[0].response) == ("adder", "I am ")


@pytest.mark.parametrize(
    ("options", "content", "lacking"),
    [
        (TOOLS, "x", "cannot use tools"),
        ({"response_format": {"type": "json_object"}}, "x", "cannot be held to a form of answer"),
        ({}, [{"type": "image_url", "image_url": {"url": "data:,"}}], "cannot see images"),
        ({}, [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}], "cannot hear sound"),
    ],
)
def test_an_expert_without_a_needed_capability_is_never_chosen(made, options, content, lacking):
    request = Ask(ChatCall(({"role": "user", "content": content},), options))
    adder = Talker("adder")
    dispatcher, _ = made(adder, Talker("poet", ALL))
    (result,) = run(dispatcher, request)
    assert (result.expert, adder.calls) == ("poet", [])
    assert lacking in result.receipt.option("adder").excluded
    dispatcher, kept = made(Talker("adder"), Talker("poet"))
    with pytest.raises(ConfigError, match=lacking) as problem:
        run(dispatcher, request)
    assert "capabilities with" in str(problem.value)
    assert kept == []


def test_a_conversation_goes_to_an_expert_whose_context_it_fits(made):
    small = Talker("adder", Capabilities(context_tokens=500))
    dispatcher, _ = made(small, Talker("poet", ALL))
    long, short = run(dispatcher, ask("add 1 and 2 " * 200), ask(SUM))
    assert (long.expert, short.expert) == ("poet", "adder")
    assert "500 fit" in long.receipt.option("adder").excluded
    with pytest.raises(ConfigError, match="context_tokens"):
        run(dispatcher, ask("add 1 and 2 " * 900))


def test_who_is_not_allowed_or_not_there_is_passed_over(made):
    dispatcher, kept = made(Talker("adder"), Talker("poet"))
    (result,) = run(dispatcher, ask(allowed=frozenset({"poet"})))
    assert (result.expert, result.alternatives) == ("poet", ())
    assert "adder" not in result.reason  # who may not use it is told nothing of it
    assert kept[0].propensities == {"adder": 0.0, "poet": 1.0}
    with pytest.raises(ConfigError, match="none is allowed here"):
        run(dispatcher, ask(allowed=frozenset()))
    alone, _ = made(Talker("poet"))
    assert alone.decide(ask()).option("adder").excluded == "there is no connection to it"


def test_an_expert_asked_for_by_name_answers_without_routing(made, monkeypatch):
    dispatcher, kept = made(Talker("adder"), Talker("poet"))
    monkeypatch.setattr("mixture_training.src.deciding.route_text", None)
    (result,) = run(dispatcher, ask(expert="poet"))
    assert (result.expert, result.policy, kept[0].features) == ("poet", "expert", None)
    assert kept[0].propensities == {"poet": 1.0}
    with pytest.raises(ConfigError, match="none is allowed here"):
        run(dispatcher, ask(expert="poet", allowed=frozenset({"adder"})))
    with pytest.raises(ConfigError, match="cannot use tools"):
        run(dispatcher, ask(expert="poet", options=TOOLS))


def test_a_refused_request_goes_on_to_the_next_expert(made):
    refusing = Breaks("adder", ExpertRefusedError("filtered", expert="adder", kind="content_filter"))
    dispatcher, kept = made(refusing, Talker("poet"))
    (result,) = run(dispatcher, ask())
    assert (result.expert, result.receipt.chosen) == ("poet", "adder")
    assert kept[0].expected_score == result.receipt.option("poet").expected_score


def test_a_session_stays_where_its_conversation_is_cached(made, router):
    price = Price(prompt_per_million=100.0, cached_per_million=0.0)
    router.experts = tuple(replace(card, price=price) for card in router.experts)
    dispatcher, _ = made(Talker("adder", price=price), Talker("poet", price=price))
    policy = "cost_weight=10"
    first = ask(POEM, session="s", policy=policy)
    (poem,) = run(dispatcher, first)
    assert poem.expert == "poet"
    more = ({"role": "assistant", "content": "O sea! " * 600}, {"role": "user", "content": "please add 3 and 4 and 5"})
    follow = Ask(ChatCall((*first.call.messages, *more)), session="s", policy=policy)
    stays = dispatcher.decide(follow)
    assert (stays.chosen, stays.session_expert) == ("poet", "poet")
    assert stays.session_saving == pytest.approx(1000 * 100e-6)
    assert "answered this session before" in stays.reason
    assert stays.expected_cost == pytest.approx(stays.option("poet").expected_cost - stays.session_saving)
    assert stays.recompute().agrees
    assert stays.replay(router, routing_text(follow.call)).agrees
    for other in (replace(follow, session=None), replace(follow, key_id="other"), replace(follow, policy="quality")):
        assert dispatcher.decide(other).chosen == "adder"


def test_all_of_a_conversation_is_counted_in_what_it_is_expected_to_cost(made, router):
    prices = Price(prompt_per_million=100.0), Price()
    router.experts = tuple(replace(card, price=price) for card, price in zip(router.experts, prices, strict=True))
    dispatcher, _ = made(Talker("adder"), Talker("poet"))
    plain = dispatcher.decide(ask("please add 3 and 4 and 5", policy="cost_weight=10"))
    turns = ({"role": "system", "content": "x" * 40_000}, *ask("please add 3 and 4 and 5").call.messages)
    receipt = dispatcher.decide(Ask(ChatCall(turns), policy="cost_weight=10"))
    assert (plain.chosen, receipt.chosen) == ("adder", "poet")
    more = receipt.option("adder").expected_cost - plain.option("adder").expected_cost
    assert more == pytest.approx(1.0, rel=0.2)
    assert receipt.recompute().agrees


def test_routing_that_takes_long_does_not_hold_up_the_loop(made, monkeypatch):
    from mixture_training.src import deciding

    dispatcher, _ = made(Talker("adder"), Talker("poet"))
    threads = []

    def to_thread(work, *args):
        threads.append(work)
        return asyncio.sleep(0, work(*args))

    monkeypatch.setattr(deciding.asyncio, "to_thread", to_thread)
    monkeypatch.setattr(deciding, "INLINE_S", 0.0)
    run(dispatcher, ask(), ask(POEM), ask(POEM))
    assert len(threads) == 2  # the last text is remembered
    monkeypatch.setattr(deciding, "INLINE_S", 60.0)
    run(dispatcher, ask("add 5 and 6 please"))
    assert len(threads) == 2


def test_another_version_decides_anew(made, router):
    dispatcher, _ = made(Talker("adder"), Talker("poet"))
    before = dispatcher.decide(ask())
    active = dispatcher._live.main
    dispatcher._live._main = replace(active, version="2-new")
    after = dispatcher.decide(ask())
    assert (before.router_version, after.router_version) == (active.version, "2-new")


def test_exploring_is_logged_with_its_probabilities(made):
    dispatcher, kept = made(
        Talker("adder"), Talker("poet"), explorer=Explorer("epsilon", share=0.5, quality_per_decision=None)
    )
    results = run(dispatcher, *[ask() for _ in range(60)])
    explored = [result.receipt for result in results if result.receipt.is_explored]
    assert 5 <= len(explored) <= 25
    assert all(one.chosen == "poet" and one.greedy == "adder" for one in explored)
    assert all(receipt.recompute().agrees for receipt in explored)
    for decision in kept:
        assert sum(decision.propensities.values()) == pytest.approx(1.0)
        assert decision.propensities["poet"] == pytest.approx(0.25, abs=0.002)
    blocked = dispatcher.decide(ask(allowed=frozenset({"adder"})))
    assert (blocked.chosen, blocked.option("adder").propensity) == ("adder", 1.0)


def test_an_answer_given_again_is_remembered_as_such(made):
    adder = Talker("adder")
    dispatcher, kept = made(adder, Talker("poet"), cache=ResponseCache())
    request = ask(options={"temperature": 0})
    first, again = run(dispatcher, request, request)
    assert len(adder.calls) == 1
    assert (again.is_cached, again.cost, again.attempts, again.response) == (True, 0.0, (), first.response)
    assert first.id != again.id == kept[1].id
    assert kept[1].receipt["cached_from"] == first.id
    receipt, piece, result = asyncio.run(collected(dispatcher.stream(request)))
    assert (piece.piece.text, piece.piece.finish_reason) == ("I am adder.", "stop")
    assert receipt.id == result.id == kept[2].id


def test_a_key_never_gets_the_answer_of_another(made):
    adder = Talker("adder")
    dispatcher, _ = made(adder, Talker("poet"), cache=ResponseCache())
    request = ask(options={"temperature": 0}, key_id="a")
    results = run(dispatcher, request, replace(request, key_id="b"), replace(request, key_id=None))
    assert [result.is_cached for result in results] == [False] * 3
    assert len(adder.calls) == 3
