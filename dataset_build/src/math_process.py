"""The inside of the process that compares mathematics with math-verify, one JSON line a question, one an answer."""

import json
import logging
import os
import resource
import signal
import socket
import warnings
from importlib import import_module
from typing import Any

#: Address space of the process; an expression that needs more is not compared.
MEMORY_BYTES = 3 * 2**30


class Comparison:
    """Reads and compares; `math_verify` is imported when the first one is made."""

    def __init__(self) -> None:
        library: Any = import_module("math_verify")
        logging.disable(logging.CRITICAL)
        self._library = library

    def compare(self, reference: str, answer: str) -> bool | None:
        """Return whether the answer is the reference, or None when the reference cannot be read."""
        expected = self._parsed(f"${reference}$")
        if not expected:
            return None
        # Both forms of each expression, as SymPy reads it and as text, are tried by the library.
        return bool(
            self._library.verify(expected, self._parsed(answer), float_rounding=6, strict=True, timeout_seconds=None)
        )

    def _parsed(self, text: str) -> list[Any]:
        found: list[Any] = self._library.parse(text, parsing_timeout=None)
        return found


def main(descriptor: int) -> None:
    """Answer on an inherited socket until the other end closes; deadlines are the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    connection = socket.socket(fileno=descriptor)
    try:
        comparison = Comparison()
    except ImportError as missing:
        connection.sendall(json.dumps({"missing": str(missing)}).encode() + b"\n")
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    connection.sendall(b'{"ready": true}\n')
    with connection.makefile("rb") as lines:
        for line in lines:
            question = json.loads(line)
            result: dict[str, Any]
            try:
                result = {"equal": comparison.compare(question["reference"], question["answer"])}
            except Exception as problem:  # whatever SymPy raises on what people write
                result = {"problem": type(problem).__name__}
            connection.sendall(json.dumps(result).encode() + b"\n")
    os._exit(0)
