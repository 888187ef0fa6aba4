"""Configurations → ready experts.

`embedded` stands for every tool of the embedded pool, a tool's own name for that tool, and `replay` without a name for
every expert recorded in its file. Everything else names a provider.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset_build.src.config import ExpertConfig, PriceConfig, load_yaml, validate
from dataset_build.src.errors import ConfigError
from dataset_build.src.experts import providers
from dataset_build.src.experts.base import Expert, ToolExpert
from dataset_build.src.experts.tools import tools
from dataset_build.src.limits import Limits
from dataset_build.src.options import check_options, refuse_secrets
from dataset_build.src.records import Price
from dataset_build.src.registry import nearest

EMBEDDED = "embedded"
#: Provider -> the option that the text after the colon of `provider:TEXT` gives.
SHORTHAND = {"replay": "path", "transformers_local": "model"}


def load_experts(configs: Sequence[ExpertConfig], *, prices: Mapping[str, PriceConfig] | None = None) -> list[Expert]:
    """Return the experts, in order; `embedded` and `replay` without a name become several.

    Args:
        configs: The experts.
        prices: Model -> price, for those whose price is "auto".

    Raises:
        ConfigError: a provider or option is unknown, an option is missing, or two experts have one name.
        MissingDependencyError: an expert's optional package is not installed.
    """
    experts = [load_expert(config, prices=prices) for config in expert_configs(configs)]
    twice = [name for name, count in Counter(expert.name for expert in experts).items() if count > 1]
    if twice:
        raise ConfigError(f"Two experts are called {twice[0]!r}; give each its own `name`.")
    return experts


def load_expert(config: ExpertConfig, *, prices: Mapping[str, PriceConfig] | None = None) -> Expert:
    """Return the one expert a configuration describes.

    Args:
        config: The expert.
        prices: Model -> price, for one whose price is "auto".

    Raises:
        ConfigError: as `load_experts`, and for a configuration that stands for several experts.
        MissingDependencyError: the expert's optional package is not installed.
    """
    _check_provider(config.provider)
    if config.provider == EMBEDDED:
        raise ConfigError(f"{EMBEDDED!r} stands for several experts; one of them was expected: {', '.join(tools)}.")
    expert_class = providers[config.provider] if config.provider in providers else tools[config.provider]
    given: dict[str, Any] = {"name": config.name or default_name(config), **config.options()}
    where = f"Expert {given['name']!r}"
    if config.price == "auto":
        given["price"] = _price_from_table(config, where, prices or {})
    elif config.price is not None:
        given["price"] = Price(**config.price.model_dump())
    if config.description is not None:
        given["description"] = config.description
    checked = check_options(expert_class, given, where=where)
    refuse_secrets(config.options(), where=where)
    expert = expert_class(**checked)
    limits = Limits(config.concurrency, config.requests_per_minute, config.tokens_per_minute)
    if limits != Limits():
        expert.limits = limits
    if config.capabilities is not None:
        expert.capabilities = replace(expert.capabilities, **config.capabilities.model_dump(exclude_none=True))
    if isinstance(expert, ToolExpert):
        expert.options = config.options()
    return expert


def _price_from_table(config: ExpertConfig, where: str, prices: Mapping[str, PriceConfig]) -> Price:
    from dataset_build.src.price_table import look_up

    model, url = config.options().get("model"), config.options().get("base_url")
    overrides = {name: Price(**price.model_dump()) for name, price in prices.items()}
    price = look_up(str(model), None if url is None else str(url), overrides)
    if price is None:
        raise ConfigError(
            f"{where}: no price of the model {model!r} is known; state its `price` in USD per million tokens, or add "
            "the model under `prices:`."
        )
    return price


def expert_configs(configs: Sequence[ExpertConfig]) -> list[ExpertConfig]:
    """Return one named configuration per expert that `load_experts` makes, in its order.

    They go into `dataset.json`. They hold no secret, because no expert takes one: a key is always the name of an
    environment variable.

    Raises:
        ConfigError: an unknown provider, or the file of a `replay` is missing.
    """
    expanded: list[ExpertConfig] = []
    for config in configs:
        if ":" in config.provider and config == ExpertConfig(provider=config.provider):
            expanded += expert_configs(parse_expert(config.provider))  # `replay:PATH` in a list of names
            continue
        _check_provider(config.provider)
        if config.provider == EMBEDDED:
            expanded += _embedded(config)
        elif config.provider == "replay" and config.name is None:
            expanded += _recorded(config)
        else:
            expanded.append(config.model_copy(update={"name": config.name or default_name(config)}))
    return [_with_absolute_path(config) for config in expanded]


def _with_absolute_path(config: ExpertConfig) -> ExpertConfig:
    """Return `config` such that it means the same file from any folder."""
    path = config.options().get("path")
    if config.provider != "replay" or not isinstance(path, str):
        return config
    return config.model_copy(update={"path": str(Path(path).absolute())})


def parse_expert(text: str) -> list[ExpertConfig]:
    """Return what the command-line shorthand `text` stands for.

    Args:
        text: `embedded`, a tool (`calculator`), `replay:PATH`, `transformers_local:ID_OR_PATH`, or a `.yaml` file
            that holds a list of experts, alone or under `experts:`.

    Raises:
        ConfigError: it is none of these; the message names the nearest known name.
    """
    if text.endswith((".yaml", ".yml")):
        return _read_experts(Path(text))
    provider, colon, argument = text.partition(":")
    _check_provider(provider)
    if not colon:
        return [ExpertConfig(provider=provider)]
    if provider not in SHORTHAND or not argument:
        forms = ", ".join(f"{name}:{option.upper()}" for name, option in SHORTHAND.items())
        raise ConfigError(f"Expert {text!r} is not one of {forms}; give other options in a .yaml file.")
    return [validate(ExpertConfig, {"provider": provider, SHORTHAND[provider]: argument}, where=f"Expert {text!r}")]


def default_name(config: ExpertConfig) -> str:
    """Return the name of an expert that was given none: its model's, its tool's or its provider's."""
    model = config.options().get("model")
    if isinstance(model, str) and model:
        return Path(model).name or model
    return config.provider


def _check_provider(name: str) -> None:
    known = sorted({*providers, *tools, EMBEDDED})
    if name not in known:
        raise ConfigError(f"Unknown expert {name!r}.{nearest(name, known)} Known: {', '.join(known)}.")


def _embedded(config: ExpertConfig) -> list[ExpertConfig]:
    if config.name is not None:
        raise ConfigError(f"{EMBEDDED!r} stands for several experts and takes no name; {config.name!r} was given.")
    # A third party's expert is in both tables, because the entry-point group is the same; it is not embedded.
    names = [name for name in tools if name not in providers]
    return [config.model_copy(update={"provider": name, "name": name}) for name in names]


def _recorded(config: ExpertConfig) -> list[ExpertConfig]:
    from dataset_build.src.experts.replay import recorded_experts

    path = config.options().get("path")
    if not isinstance(path, str | Path):
        raise ConfigError("Expert 'replay': option 'path' is missing; it is a file in interchange form.")
    recorded = recorded_experts(path)
    chosen = config.options().get("expert")
    if chosen is not None and chosen not in recorded:
        raise ConfigError(
            f"{path} holds no expert {chosen!r}.{nearest(str(chosen), list(recorded))} It has: {', '.join(recorded)}."
        )
    configs = []
    for name in recorded if chosen is None else [chosen]:
        facts = recorded[name]
        values = {
            "provider": config.provider,
            "name": name,
            "price": config.price or facts.get("price"),
            "description": config.description or facts.get("description"),
        }
        configs.append(validate(ExpertConfig, {**config.options(), **values, "expert": name}, where=f"Expert {name!r}"))
    return configs


def _read_experts(path: Path) -> list[ExpertConfig]:
    try:
        loaded = load_yaml(path)
    except FileNotFoundError:
        raise ConfigError(f"No such file of experts: {path}.") from None
    entries = loaded.get("experts") if isinstance(loaded, dict) else loaded
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path}: expected a list of experts, alone or under the key `experts`.")
    configs: list[ExpertConfig] = []
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, str) and not entry.endswith((".yaml", ".yml")):
            configs += parse_expert(entry)
        elif isinstance(entry, dict) and isinstance(entry.get("provider"), str):
            configs.append(validate(ExpertConfig, entry, where=f"{path}, expert {number}"))
        else:
            raise ConfigError(f"{path}, expert {number}: expected a name, or a mapping with the key `provider`.")
    return configs
