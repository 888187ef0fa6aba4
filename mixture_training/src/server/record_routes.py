"""What was decided, what would be, and what people say of it: /v1/decisions, /v1/route, /v1/feedback."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from dataset_build import ConfigError
from mixture_training.src.decisions import decision_of
from mixture_training.src.server.access import may_use
from mixture_training.src.server.api_errors import COMMON_HEADERS, ApiError, unavailable
from mixture_training.src.server.chat_bodies import read_chat
from mixture_training.src.server.chat_routes import ask_of
from mixture_training.src.server.exchange import Exchange
from mixture_training.src.server.json_bytes import write_json

if TYPE_CHECKING:
    from mixture_training.src.decisions import Decision, Feedback
    from mixture_training.src.storing.keys import Key

#: Seconds a decision that has just been made may take on its way to the database.
_ARRIVAL_S = 2.0
#: Seconds after which another worker's decision is looked for once more.
_AGAIN_S = 0.15
#: Characters of an id, and of a comment or a correction.
LONGEST_ID, LONGEST_TEXT = 100, 100_000
_KINDS = ("score", "preference", "correction")


async def route(exchange: Exchange) -> web.Response:
    """Say where a conversation would go; nothing is called."""
    body = read_chat(await exchange.json(), exchange.services.config)
    exchange.services.access.settle(exchange.services.access.admit(exchange.key, 0.0))
    receipt = exchange.services.dispatcher.decide(ask_of(exchange, body))
    return reply(_receipt_for(exchange.key, receipt.to_json()))


async def decision(exchange: Exchange) -> web.Response:
    """Show a decision of the key's own, with its receipt."""
    found = await find_decision(exchange, exchange.request.match_info["id"])
    exchange.decision = found.id
    return reply(shown(found, exchange.key))


async def feedback(exchange: Exchange) -> web.Response:
    """Take a judgement: a score, a preference or a correction."""
    body = await exchange.json()
    kinds = [kind for kind in _KINDS if body.get(kind) is not None]
    if len(kinds) != 1:
        raise ApiError(400, "Feedback is one of 'score', 'preference' and 'correction'.", param="score")
    services = exchange.services
    about = {
        "user": _text(body, "user", LONGEST_ID),
        "event": _text(body, "event", LONGEST_ID),
        "key_id": None if exchange.key is None else exchange.key.id,
    }
    comment = _text(body, "comment", LONGEST_TEXT)
    if kinds[0] == "preference":
        better, worse = await _preferred(exchange, body["preference"])
        judge = partial(services.store.prefer, better, worse, comment, **about)
    elif kinds[0] == "correction":
        text = _text(body, "correction", LONGEST_TEXT)
        if text is None or not text.strip():
            raise ApiError(400, "'correction' must be a text that is not empty.", param="correction")
        found = await _judged(exchange, body.get("id"), "id")
        judge = partial(services.store.correct, found, text, comment, keep_text=services.config.keep_texts, **about)
    else:
        score = body["score"]
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0.0 <= score <= 1.0:
            raise ApiError(400, "'score' must be a number from 0 to 1.", param="score")
        judge = partial(services.store.record, await _judged(exchange, body.get("id"), "id"), score, comment, **about)
    judgement = await _stored(judge)
    exchange.decision = judgement.decision_id
    services.measures.judged(judgement.kind)
    return reply(
        {
            "object": "moe.feedback",
            "id": judgement.decision_id,
            "kind": judgement.kind,
            "score": judgement.score,
            "event": judgement.event,
            "created": judgement.created,
        }
    )


async def find_decision(exchange: Exchange, answer_id: str) -> "Decision":
    """Return a decision of the key's own by its id, or by that of the answer; one just made is waited for.

    Raises:
        ApiError: there is none, or the database is away.
    """
    services = exchange.services
    found_id = decision_of(answer_id)
    key_id = None if exchange.key is None else exchange.key.id
    look = partial(services.store.decision, found_id, key_id=key_id)
    for wait in (None, partial(services.writer.flush, _ARRIVAL_S), None):
        if wait is not None:
            await asyncio.to_thread(wait)
        try:
            return await asyncio.to_thread(look)
        except ConfigError as problem:
            _raise_if_away(problem)
        if wait is not None:
            await asyncio.sleep(_AGAIN_S)
    raise ApiError(404, "There is no such decision of this key.", param="id", code="decision_not_found")


def _receipt_for(key: "Key | None", receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Return a receipt without the experts that a key may not use."""
    options = [one for one in receipt.get("options", ()) if may_use(key, one["expert"])]
    return {**receipt, "options": options} if "options" in receipt else dict(receipt)


def shown(found: "Decision", key: "Key | None" = None) -> dict[str, Any]:
    """Return a decision as the API shows it: without vectors, hashes of names, and experts that the key may not use."""
    return {
        "object": "moe.decision",
        "id": found.id,
        "created": found.created,
        "outcome": found.outcome,
        "expert": found.expert,
        "policy": found.policy,
        "router_version": found.router_version,
        "category": found.category,
        "confidence": found.confidence,
        "expected_score": found.expected_score,
        "cost_usd": found.cost,
        "latency_s": found.latency_s,
        "ranking": [name for name in found.ranking if may_use(key, name)],
        "propensities": {name: share for name, share in found.propensities.items() if may_use(key, name)},
        "attempts": [_attempt(asdict(attempt)) for attempt in found.attempts],
        "receipt": _receipt_for(key, found.receipt),
        "instruction": found.instruction,
        "response": found.response,
    }


def reply(value: object) -> web.Response:
    """Return `value` as the JSON body of an answer."""
    return web.Response(body=write_json(value), content_type="application/json", headers=COMMON_HEADERS)


def _attempt(attempt: dict[str, Any]) -> dict[str, Any]:
    """Return an attempt with the kind of its error only: what an endpoint says may name places inside."""
    error = attempt.pop("error")
    return {**attempt, "outcome": "ok" if error is None else error.partition(":")[0]}


async def _preferred(exchange: Exchange, preference: object) -> tuple[str, str]:
    if not isinstance(preference, dict):
        raise ApiError(400, '\'preference\' must be {"better": ID, "worse": ID}.', param="preference")
    better = await _judged(exchange, preference.get("better"), "preference.better")
    worse = await _judged(exchange, preference.get("worse"), "preference.worse")
    if better == worse:
        raise ApiError(400, "A preference is between two decisions.", param="preference")
    return better, worse


async def _judged(exchange: Exchange, answer_id: object, param: str) -> str:
    """Return the id of a decision that can be judged."""
    if not isinstance(answer_id, str) or not 0 < len(answer_id) <= LONGEST_ID:
        raise ApiError(400, f"{param!r} must be the id of an answer (or what x-moe-decision said).", param=param)
    found = await find_decision(exchange, answer_id)
    if found.expert is None:
        raise ApiError(409, "Nobody answered there, so there is nothing to judge.", param=param, code="no_answer")
    return found.id


async def _stored(judge: "Callable[[], Feedback]") -> "Feedback":
    try:
        return await asyncio.to_thread(judge)
    except ConfigError as problem:
        _raise_if_away(problem)
        raise


def _raise_if_away(problem: ConfigError) -> None:
    from mixture_training.src.storing.database import StoreUnavailableError

    if isinstance(problem, StoreUnavailableError):
        raise unavailable("The database is away; try again later.", code="store_unavailable") from None


def _text(body: dict[str, Any], name: str, longest: int) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest:
        raise ApiError(400, f"{name!r} must be a text of at most {longest} characters.", param=name)
    return value
