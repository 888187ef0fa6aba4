"""Headers of a request: plain ones from the configuration, secret ones from the environment at each call."""

import os
import re
from collections.abc import Mapping

from dataset_build.src.errors import ConfigError, ExpertRefusedError

_ENV_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_SECRET = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
#: Headers that follow from the request.
_OWN = ("content-length", "content-type", "transfer-encoding")


class RequestHeaders:
    """Knows which variables hold secrets, never their values.

    Args:
        expert: The expert's name, for errors.
        api_key_env: The variable whose value is sent as a bearer token; None sends none.
        plain: Headers that may be shown.
        from_env: Header → the variable with its value.

    Raises:
        ConfigError: a plain header looks like a secret, or a variable's name like the secret itself; neither value is
            repeated.
    """

    def __init__(
        self, expert: str, *, api_key_env: str | None, plain: Mapping[str, str], from_env: Mapping[str, str]
    ) -> None:
        self._expert = expert
        self._api_key_env = environment_name(api_key_env, "api_key_env", expert=expert)
        for header, value in plain.items():
            if looks_secret(header):
                raise ConfigError(
                    f"Expert {expert!r}: the header {header!r} looks like a secret; give the name of an environment "
                    "variable as api_key_env, or under headers_env."
                )
            _check_name(header, expert)
            if not value.isascii() or not value.isprintable():
                raise ConfigError(f"Expert {expert!r}: the header {header!r} is not one line of ASCII.")
        for header, variable in from_env.items():
            _check_name(header, expert)
            environment_name(variable, f"headers_env, {header}:", expert=expert)
            if api_key_env is not None and header.lower() == "authorization":
                raise ConfigError(f"Expert {expert!r}: api_key_env and headers_env both set Authorization; give one.")
        self._plain = {"Content-Type": "application/json", **plain}
        self._from_env = dict(from_env)

    def check(self) -> None:
        """Raise where a variable is not set.

        Raises:
            ConfigError: so it is; the message names it.
        """
        if self._api_key_env is not None and not os.environ.get(self._api_key_env, "").strip():
            raise ConfigError(
                f"Expert {self._expert!r}: the environment variable {self._api_key_env} with its key is not set; "
                "export it, or leave api_key_env out for an endpoint without keys."
            )
        for header, variable in self._from_env.items():
            if not os.environ.get(variable, "").strip():
                raise ConfigError(
                    f"Expert {self._expert!r}: the environment variable {variable} for the header {header} is not set."
                )

    def read(self) -> tuple[Mapping[str, str], tuple[str, ...]]:
        """Return all headers of one request, and the secrets in them.

        Raises:
            ExpertRefusedError: a secret is not set, or is none (kind `auth`).
        """
        if self._api_key_env is None and not self._from_env:
            return self._plain, ()
        headers, hidden = dict(self._plain), []
        if self._api_key_env is not None:
            key = self._secret(self._api_key_env, "its key")
            headers["Authorization"] = f"Bearer {key}"
            hidden.append(key)
        for header, variable in self._from_env.items():
            headers[header] = value = self._secret(variable, f"the header {header}")
            hidden += [value, value.rpartition(" ")[2]]  # `Bearer KEY` hides KEY as well
        return headers, tuple(hidden)

    def _secret(self, variable: str, purpose: str) -> str:
        value = os.environ.get(variable, "").strip()
        if not value:
            problem = f"the environment variable {variable} with {purpose} is not set"
        elif not value.isascii() or not value.isprintable():
            problem = f"the key in {variable} has characters no key has"
        else:
            return value
        raise ExpertRefusedError(problem, expert=self._expert, kind="auth")


def environment_name(value: str | None, option: str, *, expert: str) -> str | None:
    """Return `value` where it is the name of an environment variable.

    Raises:
        ConfigError: it is not, and may be the secret itself; it is not repeated.
    """
    if value is not None and not _ENV_NAME.fullmatch(value):
        raise ConfigError(
            f"Expert {expert!r}: {option} takes the name of an environment variable in capitals, such as "
            "OPENAI_API_KEY, never the key itself."
        )
    return value


def looks_secret(name: str) -> bool:
    """Return whether a header or parameter of this name would hold a secret."""
    return bool(_SECRET.search(name))


def _check_name(header: str, expert: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", header) or header.lower() in _OWN:
        raise ConfigError(f"Expert {expert!r}: a header cannot be called {header!r}, or follows from the request.")
