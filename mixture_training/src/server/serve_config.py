"""How a server is set up: flags over a YAML file over defaults, checked before anything starts."""

import ipaddress
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[float, Field(gt=0, le=86_400.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]

#: Names of this machine that only it can be reached by.
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


class ServeConfig(BaseModel):
    """What `moe serve` was asked to do.

    Attributes:
        router: The router folder.
        host: Where to listen.
        port: 0 takes a free one.
        workers: Processes; each takes requests of its own.
        experts: Who answers: a YAML file, `embedded`, …; None means those the router was trained on.
        policy: Used where a request says `moe`; None means the router's own.
        feedback: Path or URL of the database; None means beside the router.
        keep_texts: Whether instructions and responses are stored.
        keep_features: Whether the vectors that quick learning needs are stored.
        spool: Folder of decisions on their way to the database; None means beside the file, or beside the router.
        retention_days: Decisions older than this are forgotten once a day; None keeps them.
        drift_every_s: How often instructions are compared with those of training, for /metrics; None never does.
        update_every_s: How often the router learns from its feedback, as `moe update` does; None never does.
        update_canary: The share of the traffic that a new version is tried on first; None puts it in place.
        no_auth: Takes requests without keys; on loopback only.
        open_metrics: Shows /metrics without a key wherever it listens.
        hedge_after_s: Starts a second expert when the first is this late, or later than 95 % of its answers ("p95");
            None never does.
        after_break: What follows a stream that breaks: an error, or another expert that goes on where it stopped.
        cache_s: Seconds for which an answer is given again to an equal request of temperature 0; 0 never does.
        explore: None, or the method by which a share of the traffic tries other experts, in order to learn.
        explore_budget_usd: What exploring may cost more than the policy, in all.
        explore_quality: What expected score it may give up, on average over all traffic.
        timeout_s: Seconds one expert may take.
        request_timeout_s: Seconds a whole request may take; a client may ask for less.
        retries: Further tries of an expert.
        expert_concurrency: Calls of one expert in flight.
        concurrency: Requests in flight in one worker; more get 503.
        max_connections: Open connections of one worker; the longest idle one makes room for another.
        max_body_bytes: Of a request.
        max_messages: In one conversation.
        max_prompt_tokens: In one conversation, estimated.
        max_completion_tokens: That a request may ask for; None leaves it to the experts.
        head_timeout_s: Seconds until the head of a request has arrived.
        body_timeout_s: Seconds until its body has.
        idle_timeout_s: Seconds an unused connection is kept.
        write_timeout_s: Seconds a client may leave what it was sent unread.
        shutdown_timeout_s: Seconds that running requests have to finish at the end.
        settle_s: Seconds between "not ready" and the end of accepting, for load balancers to notice.
        embeddings_url: Base address of an endpoint that /v1/embeddings passes on to; None has none.
        embeddings_key_env: The environment variable with its key.
        allowed_hosts: Further names a browser may know this server by, where it takes requests without keys.
        access_log: Whether each request is one line on stderr.
        page: Whether the page is served at `/`.
        otel: Whether spans are sent to an OpenTelemetry collector.
        uvloop: Whether uvloop runs the loop where it is installed.
    """

    model_config = ConfigDict(extra="forbid")

    router: str
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    experts: str | None = None
    policy: str | None = None
    feedback: str | None = None
    spool: str | None = None
    keep_texts: bool = False
    keep_features: bool = True
    retention_days: Annotated[float, Field(gt=0)] | None = None
    drift_every_s: Seconds | None = None
    update_every_s: Seconds | None = None
    update_canary: Annotated[float, Field(gt=0, lt=1)] | None = None
    no_auth: bool = False
    open_metrics: bool = False
    hedge_after_s: Seconds | Literal["p95"] | None = None
    after_break: Literal["error", "continue"] = "error"
    cache_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    explore: Literal["thompson", "linucb", "epsilon"] | None = None
    explore_budget_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    explore_quality: Annotated[float, Field(ge=0, le=1)] = 0.01
    timeout_s: Seconds = 60.0
    request_timeout_s: Seconds = 120.0
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    expert_concurrency: Count = 256
    concurrency: Count = 1024
    max_connections: Count = 4096
    max_body_bytes: Count = 4 * 1024 * 1024
    max_messages: Count = 1000
    max_prompt_tokens: Count = 200_000
    max_completion_tokens: Count | None = None
    head_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 30.0
    idle_timeout_s: Seconds = 75.0
    write_timeout_s: Seconds = 30.0
    shutdown_timeout_s: Seconds = 30.0
    settle_s: Annotated[float, Field(ge=0, le=600)] = 1.0
    embeddings_url: str | None = None
    embeddings_key_env: str | None = None
    allowed_hosts: list[str] = Field(default_factory=list)
    access_log: bool = True
    page: bool = True
    otel: bool = False
    uvloop: bool = True

    @model_validator(mode="before")
    @classmethod
    def _explore_is_a_word(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        if isinstance(value, dict) and value.get("explore") in (False, "none", "off"):
            return {**value, "explore": None}
        return value

    @model_validator(mode="after")
    def _no_keys_only_at_home(self) -> Self:
        if self.no_auth and not self.is_loopback:
            raise ValueError(
                f"no_auth takes requests from everybody, so it listens on loopback only, and host is {self.host!r}; "
                "leave no_auth out and give out keys (moe keys add), or listen on 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _learns_from_something(self) -> Self:
        if self.update_every_s is not None and not (self.keep_features or self.keep_texts):
            raise ValueError(
                "update_every_s learns from the vectors or the texts of judged decisions, and neither is kept; "
                "leave keep_features on, or update_every_s out"
            )
        if self.update_canary is not None and self.update_every_s is None:
            raise ValueError("update_canary says how updates of update_every_s begin; give that too")
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host.lower() in LOOPBACK_NAMES:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
