"""An answer that arrives piece by piece: server-sent events → the reply they add up to.

The events of a stream look like this, a blank line after each; a line that begins with a colon keeps the connection
alive and says nothing::

    data: {"model": "m", "choices": [{"index": 0, "delta": {"content": "Par"}, "finish_reason": null}]}
    data: {"model": "m", "choices": [{"index": 0, "delta": {"content": "is"}, "finish_reason": "stop"}]}
    data: {"model": "m", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    data: [DONE]
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dataset_build.src.errors import ExpertError
from dataset_build.src.experts.chat_protocol import (
    Reply,
    choices_of,
    invalid,
    read_error_object,
    read_payload,
    read_reply,
)
from dataset_build.src.experts.masking import masked

#: Fields of a piece in which endpoints show what the model thinks; it is no part of the answer.
_THOUGHTS = ("reasoning_content", "reasoning")


class StreamedReply:
    """Collects the pieces of one streamed reply, however the network cut them.

    Args:
        expert: The expert's name, for errors.
        hidden: Secrets, replaced by `***` wherever the endpoint repeats them.
    """

    def __init__(self, expert: str, hidden: Sequence[str] = ()) -> None:
        self._expert, self._hidden = expert, hidden
        self._unread: list[bytes] = []
        self._data: list[bytes] = []
        self._texts: dict[int, list[str]] = {}
        self._reasons: dict[int, str] = {}
        self._model: object = None
        self._usage: object = None
        self._is_read = False
        self._plain: list[bytes] | None = None
        #: Whether any text, or any shown thought, has arrived.
        self.has_begun = False
        #: Whether the endpoint said that nothing more comes.
        self.is_done = False
        #: The error object that came in place of a piece.
        self.problem: ExpertError | None = None

    def feed(self, data: bytes) -> None:
        """Take in the next bytes of the body."""
        if not self._is_read and data.strip():
            self._is_read = True
            if data.lstrip()[:1] in (b"{", b"<", b"["):
                self._plain = []  # the endpoint does not stream, or answers with an error
        if self._plain is not None:
            self._plain.append(data)
            return
        self._unread.append(data)
        if b"\n" not in data and b"\r" not in data:
            return
        lines = b"".join(self._unread).splitlines(keepends=True)
        # A carriage return at the end may be half of a line break.
        self._unread = [] if lines[-1].endswith(b"\n") else [lines.pop()]
        for line in lines:
            self._line(line.rstrip(b"\r\n"))

    def finish(self) -> Reply | ExpertError:
        """Return the reply after the body has ended, or was lost.

        `[DONE]` may be missing where every sample has its finish_reason. A stream that ends before is an error: the
        text so far is not the answer.
        """
        if self._plain is not None:
            return read_reply(b"".join(self._plain), expert=self._expert, hidden=self._hidden)
        for line in b"".join(self._unread).splitlines():
            self._line(line)
        self._unread = []
        self._line(b"")
        if self.problem is not None:
            return self.problem
        if not self.is_complete:
            return invalid(f"the stream ended early, after {self._length()} characters", self._expert)
        return self._read()

    @property
    def is_complete(self) -> bool:
        """Whether all there is to an answer has arrived, if not its usage."""
        return self.is_done or (bool(self._texts) and self._reasons.keys() >= self._texts.keys())

    def _line(self, line: bytes) -> None:
        if not line:
            if self._data:
                data, self._data = b"\n".join(self._data), []
                self._event(data)
            return
        name, _, value = line.partition(b":")
        if name in (b"data", b"error"):  # older llama.cpp servers have a field `error`
            self._data.append(value.removeprefix(b" ") if name == b"data" else b'{"error":' + value + b"}")

    def _event(self, data: bytes) -> None:
        if data.strip() == b"[DONE]":
            self.is_done = True
            return
        if self.problem is not None or self.is_done:
            return
        try:
            piece = json.loads(data.decode())  # given bytes, it would guess the encoding of each
        except (ValueError, RecursionError):
            piece = None
        if not isinstance(piece, dict):
            start = masked(data[:4096].decode("utf-8", "replace"), self._hidden)[:60]
            self.problem = invalid(f"a piece of the stream is no JSON object: {start!r}", self._expert)
        elif piece.get("error"):
            self.problem = read_error_object(
                piece, expert=self._expert, hidden=self._hidden, may_be_billed=self.has_begun
            )
        else:
            self._piece(piece)

    def add(self, piece: Mapping[str, Any]) -> None:
        """Take in a piece that something else has cut out of the stream already."""
        self._piece(piece)

    def _piece(self, piece: Mapping[str, Any]) -> None:
        self._model = piece.get("model") or self._model
        self._usage = piece.get("usage") or self._usage
        for choice in choices_of(piece):
            index = choice["index"] if isinstance(choice.get("index"), int) else 0
            texts = self._texts.setdefault(index, [])
            delta = choice.get("delta")
            fields: Mapping[str, Any] = delta if isinstance(delta, dict) else {"content": choice.get("text")}
            text = fields.get("content") or fields.get("refusal")
            if isinstance(text, str) and text:
                texts.append(text)
                self.has_begun = True
            elif any(fields.get(name) for name in _THOUGHTS):
                self.has_begun = True
            if choice.get("finish_reason"):
                self._reasons[index] = choice["finish_reason"]

    def _read(self) -> Reply | ExpertError:
        choices = [
            {"message": {"content": "".join(texts)}, "finish_reason": self._reasons.get(index)}
            for index, texts in sorted(self._texts.items())
        ]
        payload = {"model": self._model, "choices": choices, "usage": self._usage}
        return read_payload(payload, expert=self._expert, hidden=self._hidden)

    def _length(self) -> int:
        return sum(len(text) for texts in self._texts.values() for text in texts)
