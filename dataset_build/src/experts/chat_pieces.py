"""A conversation's answer that arrives piece by piece: the pieces to pass on, and the message they add up to."""

from collections.abc import Mapping, Sequence
from typing import Any

from dataset_build.src.errors import ExpertError
from dataset_build.src.experts.chat_call import ChatPiece
from dataset_build.src.experts.chat_protocol import Reply, choices_of, invalid, read_chat, read_reply
from dataset_build.src.experts.chat_stream import StreamedReply
from dataset_build.src.experts.masking import PieceMask, masked_json

#: Fields of a message whose pieces are put one behind the other; of all others the last one counts.
_TEXTS = frozenset({"content", "refusal", "reasoning_content", "reasoning", "arguments", "transcript", "data"})
#: Fields that hold fields of their own, of which the same is true.
_NESTED = frozenset({"function", "function_call", "audio"})


class StreamedChat(StreamedReply):
    """Collects the pieces of one streamed answer, and hands them on as they come.

    The piece that says how the answer ended is kept until `finish` has found nothing wrong with the whole.

    Args:
        expert: The expert's name, for errors.
        hidden: Secrets, replaced by `***` also where one comes in several pieces.
    """

    def __init__(self, expert: str, hidden: Sequence[str] = ()) -> None:
        super().__init__(expert, hidden)
        #: Delta, finish_reason and logprobs of each piece that came since the last time.
        self._ready: list[tuple[Mapping[str, Any], str | None, Mapping[str, Any] | None]] = []
        self._end: str | None = None
        self._message: dict[str, Any] = {}
        self._logprobs: dict[str, list[Any]] = {}
        self._masked = _MaskedDeltas(hidden) if hidden else None

    def take(self) -> list[ChatPiece]:
        """Return the pieces that came since the last time."""
        ready, self._ready = self._ready, []
        last = len(ready) - 1
        return [ChatPiece(*fields, is_followed=place < last) for place, fields in enumerate(ready)]

    def finish(self) -> Reply | ExpertError:
        """Return the reply after the body has ended; `take` then returns the pieces that were kept."""
        if self._plain is not None:
            result = read_reply(b"".join(self._plain), expert=self._expert, hidden=self._hidden, reader=read_chat)
            if isinstance(result, Reply) and result.choice is not None:
                message, reason = result.choice["message"], result.finish_reason
                self._ready.append((message, reason or "stop", result.choice.get("logprobs")))
            return result
        result = super().finish()
        if isinstance(result, Reply):
            held = [] if self._masked is None else self._masked.flush()
            self._ready += [(delta, None, None) for delta in held]
            self._ready.append(({}, self._end or result.finish_reason or "stop", None))
        return result

    def _piece(self, piece: Mapping[str, Any]) -> None:
        super()._piece(piece)
        try:
            for choice in choices_of(piece):
                if choice.get("index") in (0, None):
                    self._choice(choice)
        except RecursionError:
            self.problem = invalid("a piece of the stream is nested too deeply", self._expert)

    def _choice(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = {"content": choice["text"]} if isinstance(choice.get("text"), str) else {}
        _merge(self._message, delta)
        logprobs = choice.get("logprobs")
        logprobs = logprobs if isinstance(logprobs, dict) else None
        for key, values in (logprobs or {}).items():
            if isinstance(values, list):
                self._logprobs.setdefault(key, []).extend(values)
        if delta and self._masked is not None:
            shown = self._masked.mask(delta)
            if shown != delta:  # the tokens would tell what the text does not
                logprobs = None
            delta = shown
        if delta or logprobs:
            self._ready.append((delta, None, masked_json(logprobs, self._hidden)))
        if choice.get("finish_reason"):
            self._end = str(choice["finish_reason"])
        self.has_begun = self.has_begun or bool(delta.get("tool_calls"))

    def _read(self) -> Reply | ExpertError:
        message = _whole(self._message)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": None, **message},
            "finish_reason": self._reasons.get(0),
            **({"logprobs": self._logprobs} if self._logprobs else {}),
        }
        payload = {"model": self._model, "choices": [choice] if self._texts else [], "usage": self._usage}
        return read_chat(payload, expert=self._expert, hidden=self._hidden)


class _MaskedDeltas:
    """Masks the texts of deltas, each on its own; every other field as a whole."""

    def __init__(self, hidden: Sequence[str]) -> None:
        self._hidden = hidden
        self._masks: dict[tuple[object, ...], PieceMask] = {}

    def mask(self, delta: Mapping[str, Any]) -> dict[str, Any]:
        """Return what may be shown of a delta by now."""
        return {key: self._value((key,), value) for key, value in delta.items()}

    def flush(self) -> list[dict[str, Any]]:
        """Return what was held back, as deltas."""
        held = [(path, mask.flush()) for path, mask in self._masks.items()]
        return [_delta_at(path, text) for path, text in held if text]

    def _value(self, path: tuple[object, ...], value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, str) and path[-1] in _TEXTS:
            mask = self._masks.setdefault(path, PieceMask(self._hidden)) if value else None
            return "" if mask is None else mask.feed(value)
        if isinstance(value, dict) and path[-1] in _NESTED and len(path) < 4:
            return {key: self._value((*path, key), one) for key, one in value.items()}
        if isinstance(value, list) and path == ("tool_calls",):
            return [self._call(number, one) for number, one in enumerate(value)]
        return masked_json(value, self._hidden)

    def _call(self, number: int, call: object) -> object:
        if not isinstance(call, dict):
            return masked_json(call, self._hidden)
        path = ("tool_calls", _index(call, number))
        return {key: self._value((*path, key), one) for key, one in call.items()}


def _delta_at(path: tuple[object, ...], text: str) -> dict[str, Any]:
    """Return the delta that adds `text` at a place."""
    if path[0] == "tool_calls":
        return {"tool_calls": [{"index": path[1], **_delta_at(path[2:], text)}]}
    return {str(path[0]): text if len(path) == 1 else _delta_at(path[1:], text)}


class _Parts(list[str]):
    """The pieces of one text."""


class _Fields(dict[str, Any]):
    """The fields of a part of a message."""


class _Calls(dict[int, _Fields]):
    """The calls of tools, by their number."""


def _merge(into: dict[str, Any], delta: Mapping[str, Any], depth: int = 0) -> None:
    """Add a delta to what came before."""
    for key, value in delta.items():
        before = into.get(key)
        if isinstance(value, str) and key in _TEXTS:
            parts = before if isinstance(before, _Parts) else _Parts()
            parts.append(value)
            into[key] = parts
        elif isinstance(value, list) and key == "tool_calls":
            calls = before if isinstance(before, _Calls) else _Calls()
            for number, call in enumerate(value):
                if isinstance(call, dict):
                    _merge(calls.setdefault(_index(call, number), _Fields()), call, depth + 1)
            into[key] = calls
        elif isinstance(value, dict) and key in _NESTED and depth < 3:
            fields = before if isinstance(before, _Fields) else _Fields()
            _merge(fields, value, depth + 1)
            into[key] = fields
        elif isinstance(value, list) and isinstance(before, list):
            into[key] = [*before, *value]
        elif value not in (None, "") or key not in into:
            into[key] = value


def _whole(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `_merge` has put together as a message."""
    whole: dict[str, Any] = {}
    for key, value in message.items():
        if isinstance(value, _Parts):
            whole[key] = "".join(value)
        elif isinstance(value, _Calls):
            whole[key] = [
                {name: one for name, one in _whole(call).items() if name != "index"}
                for _, call in sorted(value.items())
            ]
        else:
            whole[key] = _whole(value) if isinstance(value, _Fields) else value
    return whole


def _index(call: Mapping[str, Any], number: int) -> int:
    index = call.get("index")
    return index if isinstance(index, int) else number
