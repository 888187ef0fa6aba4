"""Who may ask, how often, and for how much."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mixture_training.src.server.api_errors import ApiError, unavailable
from mixture_training.src.server.serve_config import LOOPBACK_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixture_training.src.server.rate_slots import RateSlots
    from mixture_training.src.server.serve_config import ServeConfig
    from mixture_training.src.storing.keys import Key, KeyStore, Reservation

#: Characters a key may have; longer ones are none of ours.
_LONGEST_KEY = 200


class Access:
    """Decides about requests.

    Args:
        keys: Where keys are kept; None takes requests without any.
        rates: How often each asks.
        config: The set-up.
    """

    def __init__(self, keys: "KeyStore | None", rates: "RateSlots", config: "ServeConfig") -> None:
        self._keys = keys
        self._rates = rates
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in config.allowed_hosts}

    def key_of(self, headers: "Mapping[str, str]") -> "Key | None":
        """Return the key a request came with; None where the server takes requests without.

        Raises:
            ApiError: it has none, a wrong one, or comes from a page of somebody else's.
        """
        if self._keys is None:
            self._check_origin(headers.get("Host", ""), headers.get("Origin"), headers.get("Sec-Fetch-Site"))
            return None
        scheme, _, secret = headers.get("Authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise _denied("Give a key: Authorization: Bearer KEY.")
        from mixture_training.src.storing.database import StoreUnavailableError

        try:
            key = self._keys.check(secret) if len(secret) <= _LONGEST_KEY else None
        except StoreUnavailableError:
            raise unavailable("Keys cannot be looked up at the moment.") from None
        if key is None:
            raise _denied("This key is unknown or was revoked.")
        return key

    def admit(self, key: "Key | None", expected_usd: float) -> "Reservation | None":
        """Count a request of `key` against its rate, and hold `expected_usd` of its budget until `settle`.

        Raises:
            ApiError: it asks too often, or has too little left.
        """
        if key is None or self._keys is None:
            return None
        if key.requests_per_minute is not None:
            wait_s = self._rates.wait_s(key.id, key.requests_per_minute)
            if wait_s > 0.0:
                raise ApiError(
                    429,
                    f"This key may ask {key.requests_per_minute} times a minute.",
                    code="rate_limit_exceeded",
                    headers={"Retry-After": str(max(1, int(wait_s + 0.999)))},
                )
        if key.budget_usd is None:
            return None
        reservation = self._keys.reserve(key.id, expected_usd)
        if reservation is None:
            raise ApiError(
                429,
                f"The budget of this key, {key.budget_usd:g} USD, is used up, or less than a request may cost is left.",
                code="insufficient_quota",
                kind="insufficient_quota",
            )
        return reservation

    def settle(self, reservation: "Reservation | None") -> None:
        """Release what was held for a request that is over."""
        if reservation is not None and self._keys is not None:
            self._keys.settle(reservation)

    def _check_origin(self, host: str, origin: str | None, site: str | None) -> None:
        """Refuse pages that make a browser ask: by a name that leads here, or across sites."""
        if _name(host) not in self._hosts:
            raise ApiError(
                403,
                "A server without keys is asked by a name of this machine (localhost, 127.0.0.1); see allowed_hosts.",
                code="host_not_allowed",
            )
        if site == "cross-site" or (origin is not None and _host_of(origin) not in self._hosts):
            raise ApiError(403, "A server without keys takes no requests from other sites.", code="origin_not_allowed")


def may_use(key: "Key | None", expert: str) -> bool:
    """Return whether a key may use an expert."""
    return key is None or key.experts is None or expert in key.experts


def check_choice(key: "Key | None", policy: str, expert: str | None) -> None:
    """Raise where a key may not ask so.

    Args:
        key: The key.
        policy: The policy that would route.
        expert: The expert that was asked for by name, which needs no policy.

    Raises:
        ApiError: the expert, or the policy, is not among those of the key.
    """
    if key is None:
        return
    if expert is not None:
        if not may_use(key, expert):
            raise ApiError(403, f"This key may not use {expert!r}.", param="model", code="model_not_allowed")
    elif key.policies is not None and policy not in key.policies:
        raise ApiError(
            403,
            f"This key may not use the policy {policy!r}; it may use {', '.join(key.policies)}.",
            param="model",
            code="policy_not_allowed",
        )


def _name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _host_of(origin: str) -> str:
    try:
        name = (urlsplit(origin).hostname or "").lower()
    except ValueError:
        return ""
    return f"[{name}]" if ":" in name else name


def _denied(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
