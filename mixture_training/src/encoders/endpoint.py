"""Vectors from any endpoint that speaks the OpenAI protocol's `/embeddings`."""

import asyncio
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset_build import (
    ConfigError,
    DataError,
    ExpertError,
    ExpertUnavailableError,
    HttpConnection,
    RequestHeaders,
    Transport,
    parsed_address,
    pause_s,
    read_failure,
    read_yaml,
)
from mixture_training.src.encoders.base import Embeddings, Encoder, readable
from mixture_training.src.loop_thread import LoopThread

#: Where OpenAI's own models are, and the variable with the key, when a name has no address.
OPENAI_URL, OPENAI_KEY = "https://api.openai.com/v1", "OPENAI_API_KEY"

#: Texts a request, and requests at a time.
_BATCH, _IN_FLIGHT = 64, 4
_TRIES, _TIMEOUT_S = 5, 60.0
#: Characters read of a text; one that is too long for the model nevertheless is halved until it fits.
_MOST_CHARACTERS, _FEWEST_CHARACTERS = 20_000, 200
_FORM = "openai:MODEL@URL or openai:MODEL@URL#KEY_VARIABLE"


class EndpointEncoder(Encoder):
    """Unit vectors from an endpoint; a text without any word is a zero vector, and is not sent.

    A saved router holds the address, the model and the name of the key's variable: no key, no weights. Whether the
    endpoint still serves the same model is for its owner to see to.

    Args:
        model: What the endpoint calls the model.
        base_url: Where the endpoint is, with its version.
        api_key_env: The environment variable that holds the key; None sends none.
        dimensions: Length of a vector, None until an answer has told it.
    """

    kind = "openai"

    def __init__(
        self,
        model: str,
        base_url: str = OPENAI_URL,
        api_key_env: str | None = None,
        dimensions: int | None = None,
    ) -> None:
        parts = parsed_address(base_url.strip())
        if parts is None or parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError(
                f"Encoder openai:{model}: expected a plain web address like http://127.0.0.1:8000/v1 after '@', "
                f"without user, password or query ({_FORM})."
            )
        if not model:
            raise ConfigError(f"An embeddings endpoint needs the name of a model: {_FORM}.")
        self.model = model
        self.base_url = base_url.strip().rstrip("/").removesuffix("/embeddings")
        self.api_key_env = api_key_env
        self.dimensions = dimensions
        self._name = f"openai:{model}"
        self._headers = RequestHeaders(self._name, api_key_env=api_key_env, plain={}, from_env={})

    @property
    def seconds_per_text(self) -> float:
        """Roughly what a 60-token text takes there and back."""
        return 1e-1

    def fingerprint(self) -> str:
        """Return a hash of address and model."""
        facts = json.dumps([self.base_url, self.model])
        return f"openai-{hashlib.sha256(facts.encode()).hexdigest()[:32]}"

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of `texts`, shape (n, d).

        Raises:
            ConfigError: the endpoint cannot be reached, or refuses; the message says why and what to do.
        """
        clean = [readable(text, _MOST_CHARACTERS) for text in texts]
        asked = [row for row, text in enumerate(clean) if text.strip()]
        sent = [clean[row] for row in asked] or ([] if self.dimensions else ["dimensions"])
        answered = self._ask_all(sent) if sent else []
        for vector in answered:
            if len(vector) != (self.dimensions or len(vector)):
                raise DataError(
                    f"{self._name} at {self.base_url} now gives {len(vector)} dimensions instead of "
                    f"{self.dimensions}: it serves another model. Serve the one of before, or train again."
                )
            self.dimensions = len(vector)
        vectors = np.zeros((len(texts), self.dimensions or 0), dtype=np.float32)
        for row, vector in zip(asked, answered, strict=False):  # what was asked only for its length has no row
            vectors[row] = vector
        return vectors

    def save(self, folder: Path) -> dict[str, Any]:
        """Return where to ask; no file is written."""
        return {
            "model": self.model,
            "base_url": self.base_url,
            "api_key_env": self.api_key_env,
            "dimensions": self.dimensions,
        }

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "EndpointEncoder":
        """Return the encoder that asks there."""
        return cls(**state)

    def _ask_all(self, texts: list[str]) -> list[Embeddings]:
        self._headers.check()
        loop = LoopThread()  # whoever calls may be on an event loop of their own
        try:
            return loop.run(self._in_batches(texts))
        except ExpertError as problem:
            advice = {"auth": "Check the key", "too_long": "Use a model with a longer context"}.get(
                problem.kind, "Check the address, the model's name and that the server runs"
            )
            raise ConfigError(f"{self._name} at {self.base_url}: {problem.message}. {advice}.") from None
        finally:
            loop.close()

    async def _in_batches(self, texts: list[str]) -> list[Embeddings]:
        connection = HttpConnection(self._name, f"{self.base_url}/embeddings", Transport(timeout_s=_TIMEOUT_S))
        turns = asyncio.Semaphore(_IN_FLIGHT)

        async def ask(batch: list[str]) -> list[Embeddings]:
            async with turns:
                return await self._ask(connection, batch)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(texts[at : at + _BATCH])) for at in range(0, len(texts), _BATCH)]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            await connection.aclose()
        return [vector for task in tasks for vector in task.result()]

    async def _ask(self, connection: HttpConnection, texts: list[str]) -> list[Embeddings]:
        """Return the vectors of a batch; a text that is too long is cut, and no other with it."""
        try:
            return await self._ask_patiently(connection, texts)
        except ExpertError as problem:
            if problem.kind != "too_long":
                raise
            if len(texts) > 1:
                return [vector for text in texts for vector in await self._ask(connection, [text])]
            if len(texts[0]) <= _FEWEST_CHARACTERS:
                raise
            return await self._ask(connection, [texts[0][: len(texts[0]) // 2]])

    async def _ask_patiently(self, connection: HttpConnection, texts: list[str]) -> list[Embeddings]:
        body = json.dumps({"model": self.model, "input": texts}).encode()
        attempt = 0
        while True:
            try:
                headers, hidden = self._headers.read()
                status, received, reply, _ = await connection.post(body, headers, hidden=hidden)
                if status != 200:
                    raise read_failure(status, received, reply, expert=self._name, hidden=hidden)
                return self._read(reply, len(texts))
            except ExpertError as problem:
                attempt += 1
                if not problem.retryable or attempt == _TRIES:
                    raise
                await asyncio.sleep(pause_s(attempt - 1, problem.retry_after_s))

    def _read(self, reply: bytes, texts: int) -> list[Embeddings]:
        """Return the unit vectors of a reply, in the order of its texts."""
        try:
            items = sorted(json.loads(reply)["data"], key=lambda item: item["index"])
            vectors = [np.array(item["embedding"], dtype=np.float64) for item in items]
            places = [item["index"] for item in items]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._unreadable("is no list of embeddings") from None
        if places != list(range(texts)):
            raise self._unreadable(f"has {len(vectors)} embeddings for {texts} texts")
        if any(vector.ndim != 1 or len(vector) != len(vectors[0]) or not len(vector) for vector in vectors):
            raise self._unreadable("has embeddings of different lengths")
        lengths = [math.sqrt(float(vector @ vector)) for vector in vectors]
        if not all(map(math.isfinite, lengths)):
            raise self._unreadable("has embeddings that are no numbers")
        return [(vector / (length or 1.0)).astype(np.float32) for vector, length in zip(vectors, lengths, strict=True)]

    def _unreadable(self, what: str) -> ExpertUnavailableError:
        return ExpertUnavailableError(f"the reply {what}", expert=self._name, kind="invalid_response")


def parse_endpoint(name: str) -> EndpointEncoder:
    """Return the encoder that `openai:MODEL`, `openai:MODEL@URL` or `openai:MODEL@URL#KEY_VARIABLE` names.

    Without an address it is OpenAI's, with the key in OPENAI_API_KEY; elsewhere no key is sent unless its variable is
    named, so that none goes to a server it is not for.
    """
    model, at, address = name.removeprefix("openai:").partition("@")
    if not at:
        return EndpointEncoder(model, OPENAI_URL, OPENAI_KEY)
    url, _, variable = address.partition("#")
    return EndpointEncoder(model, url, variable or None)


def read_endpoint(file: Path) -> EndpointEncoder:
    """Return the encoder of a YAML file with `model`, `base_url` and, where a key is needed, `api_key_env`.

    Raises:
        ConfigError: it has other keys, or lacks one.
    """
    content = read_yaml(file)
    known = ("model", "base_url", "api_key_env")
    problems = [f"unknown key {key!r}" for key in content if key not in known]
    problems += [f"no {key}" for key in known[:2] if key not in content]
    problems += [f"{key} is no text" for key in known if not isinstance(content.get(key, ""), str)]
    if problems:
        raise ConfigError(f"{file}: {', '.join(problems)}; an embeddings endpoint has {', '.join(known)}.")
    return EndpointEncoder(**content)
