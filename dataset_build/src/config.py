"""What a build was asked to do: flags over a YAML file over defaults, checked before anything runs.

The resolved configuration is saved in the dataset's `dataset.json`. It holds names of environment variables,
never keys.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dataset_build.src.errors import ConfigError
from dataset_build.src.judging.config import JudgeConfig
from dataset_build.src.metric_choice import metric_text
from dataset_build.src.registry import nearest
from dataset_build.src.taggers.config import AbilitiesConfig

#: Longest deadline of one call, in seconds: a day. Timers of the operating system overflow far above it.
LONGEST_TIMEOUT_S = 86_400.0
#: Characters an expert's name may have.
LONGEST_NAME = 200

#: A metric, or several with weights, as `metric_choice` reads them.
MetricText = Annotated[str, BeforeValidator(metric_text)]
USD = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _check_name(name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"A name is one line of 1 to {LONGEST_NAME} printable characters")
    return name


class PriceConfig(BaseModel):
    """USD per million tokens (those from the cache apart, when told), per call, per core-hour."""

    model_config = ConfigDict(extra="forbid")

    prompt_per_million: USD = 0.0
    completion_per_million: USD = 0.0
    per_call: USD = 0.0
    per_core_hour: USD = 0.0
    cached_per_million: USD | None = None


class CapabilitiesConfig(BaseModel):
    """What an expert can take besides a text; what is left out is what its provider says of itself."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    json_mode: bool | None = None
    context_tokens: Annotated[int, Field(ge=1)] | None = None


class ExpertConfig(BaseModel):
    """One expert: who provides it, and the provider's own options (every further key). A text is the provider.

    Attributes:
        provider: Who runs it.
        name: How the dataset and the router call it.
        price: What it charges; "auto" looks its model up in the price table.
        description: One line for people and for routing language models.
        concurrency: Calls in flight at most; None means the build's `concurrency`.
        requests_per_minute: Requests started per minute at most; None means no limit.
        tokens_per_minute: Tokens read and written per minute at most; None means no limit.
        capabilities: What it can take besides a text; None leaves it to the provider.
    """

    model_config = ConfigDict(extra="allow")

    provider: str
    name: Annotated[str, AfterValidator(_check_name)] | None = None
    price: PriceConfig | Literal["auto"] | None = None
    description: str | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    requests_per_minute: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    tokens_per_minute: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    capabilities: CapabilitiesConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        return {"provider": value} if isinstance(value, str) else value

    def options(self) -> dict[str, Any]:
        """Return the keys that go to the provider's constructor."""
        return dict(self.model_extra or {})


class SourceConfig(BaseModel):
    """One source and its own options (every further key). A text is the source.

    Attributes:
        source: A registered name, a file, or `hf:org/name`.
        weight: Its share of the mixture, beside the weights of the other sources.
        limit: At most this many instructions from it.
    """

    model_config = ConfigDict(extra="allow")

    source: str
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    limit: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        return {"source": value} if isinstance(value, str) else value

    def options(self) -> dict[str, Any]:
        """Return the keys that go to the source's constructor."""
        return dict(self.model_extra or {})


class MetricRuleConfig(BaseModel):
    """Which metric judges the instructions of a category, a source, or one id; names may hold `*` and `?`."""

    model_config = ConfigDict(extra="forbid")

    metric: MetricText
    category: str | None = None
    source: str | None = None
    instruction: str | None = None


class BuildConfig(BaseModel):
    """Everything that decides what a build does.

    Attributes:
        sources: Where instructions come from.
        experts: Who answers them.
        metric: For instructions that no rule of `metrics` is for and whose source names none.
        metrics: Rules; the first that matches an instruction decides its metric.
        further_metrics: Metrics that every response is scored by besides; recorded, no labels.
        judges: Name -> judge, for the metric `judge`.
        allow_code_execution: Whether the metric `code_tests` may run answers, in a jail.
        allow_weak_jail: Whether it may do so where the machine cannot confine programs well.
        abilities: How instructions that come without abilities get them; None leaves them without.
        output: The dataset folder.
        use_existing_dataset: Continue from the dataset at `output`, adding what is missing.
        overwrite: Whether a finished dataset at `output` may be replaced.
        batch_size: Instructions per checkpoint, and per batch of a local model.
        max_iter: At most this many instructions.
        concurrency: Calls in flight per expert at most; fewer where its endpoint protests.
        budget_usd: What the build may spend, all its runs together; None means no cap.
        partial: Whether to write the dataset from what is there when the budget is met.
        dry_run: Whether only to say what would be asked and what it may cost.
        prices: Model -> price, for experts whose price is "auto"; over the table that comes with the toolkit.
        deduplicate: What counts as an instruction that came before.
        near_threshold: From which share of common word runs on two texts are nearly the same.
        decontaminate: Sources of test instructions that the dataset must not hold.
        workers: Processes for tools on this machine; None means one per core, at most four.
        timeout_s: Seconds one call may take.
        retries: Further tries after a failure that is worth one.
        engine: Which engine runs the calls.
        ray_address: The Ray cluster of engine `ray`; None starts one on this machine.
        seed: Of everything random.
    """

    model_config = ConfigDict(extra="forbid", validate_default=True)

    sources: Annotated[list[SourceConfig], Field(min_length=1)] = [SourceConfig(source="bundled")]
    experts: Annotated[list[ExpertConfig], Field(min_length=1)] = [ExpertConfig(provider="embedded")]
    metric: MetricText = "exact_match"
    metrics: list[MetricRuleConfig] = []
    further_metrics: list[MetricText] = []
    judges: dict[str, JudgeConfig] = {}
    allow_code_execution: bool = False
    allow_weak_jail: bool = False
    abilities: AbilitiesConfig | None = None
    output: Path = Path("runs/dataset")
    use_existing_dataset: bool = False
    overwrite: bool = False
    batch_size: Annotated[int, Field(ge=1)] = 20
    max_iter: Annotated[int, Field(ge=1)] = 50_000
    concurrency: Annotated[int, Field(ge=1)] = 16
    workers: Annotated[int, Field(ge=1)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=LONGEST_TIMEOUT_S)] = 60.0
    retries: Annotated[int, Field(ge=0)] = 3
    budget_usd: USD | None = None
    partial: bool = False
    dry_run: bool = False
    prices: dict[str, PriceConfig] = {}
    deduplicate: Literal["none", "exact", "near"] = "exact"
    near_threshold: Annotated[float, Field(gt=0, le=1)] = 0.8
    decontaminate: list[SourceConfig] = []
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.overwrite and self.use_existing_dataset:
            raise ValueError("overwrite starts anew and use_existing_dataset continues; give one of them")
        return self


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def validate(model: type[ConfigT], values: Mapping[str, Any], *, where: str) -> ConfigT:
    """Return `values` as a `model`.

    Args:
        model: The configuration class.
        values: Its keys and values.
        where: What to call the origin in messages ("build.yaml", "the command line").

    Raises:
        ConfigError: a key is misspelt or a value is wrong; the message names the nearest known key.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as invalid:
        problem = invalid.errors()[0]
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            raise ConfigError(f"{where}: {message}.") from None
        path = ".".join(str(part) for part in problem["loc"] if part not in _NOT_KEYS)
        if problem["type"] == "extra_forbidden":
            known = _keys_beside(model, problem["loc"])
            raise ConfigError(
                f"{where}: unknown key {path!r}.{nearest(str(problem['loc'][-1]), known)} Known: {', '.join(known)}."
            ) from None
        raise ConfigError(f"{where}: {path} is {problem.get('input')!r:.200}: {message}.") from None


#: What pydantic puts into a location beside keys: the member of a union that was tried.
_NOT_KEYS = ("PriceConfig",)


def _keys_beside(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    if location[0] == "judges" and len(location) > 2:
        return sorted(JudgeConfig.model_fields)
    if location[0] == "metrics" and len(location) > 2:
        return sorted(MetricRuleConfig.model_fields)
    if "capabilities" in location[:-1]:
        return sorted(CapabilitiesConfig.model_fields)
    return sorted(PriceConfig.model_fields if "price" in location[:-1] else model.model_fields)


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses a key that comes twice; the last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {key.value!r} comes twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return what a YAML file holds.

    Raises:
        FileNotFoundError: there is none.
        ConfigError: it cannot be read, or is no YAML; the message names the line and never quotes it, because it may
            hold a key.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"Cannot read {path}: {problem}.") from None
    except yaml.MarkedYAMLError as problem:
        line = f", line {problem.problem_mark.line + 1}" if problem.problem_mark else ""
        raise ConfigError(f"{path}{line} is not valid YAML: {problem.problem}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise ConfigError(f"{path} is not valid YAML: {type(problem).__name__}.") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, is no YAML, or holds something other than a mapping.
    """
    try:
        loaded = load_yaml(path)
    except FileNotFoundError:
        raise ConfigError(f"No such configuration file: {path}.") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} holds a {type(loaded).__name__}; a mapping of option names to values was expected.")
    return loaded


def resolve(model: type[ConfigT], config_file: Path | None, flags: Mapping[str, Any]) -> ConfigT:
    """Return the configuration: flags that were given beat the file, the file beats the defaults.

    Args:
        model: The configuration class.
        config_file: A YAML file, or None.
        flags: Values from the command line; None means "not given".
    """
    from_file = read_yaml(config_file) if config_file else {}
    given = {key: value for key, value in flags.items() if value is not None}
    if config_file:  # what the file says is checked by itself: a wrong value in it is its own, not the command line's
        validate(model, {**given, **from_file}, where=str(config_file))
    return validate(model, {**from_file, **given}, where="the command line" if given else str(config_file))
