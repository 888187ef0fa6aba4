"""Configurations → judges, ready to be asked."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build.src.config import ExpertConfig, PriceConfig, validate
from dataset_build.src.errors import ConfigError
from dataset_build.src.experts.base import Expert
from dataset_build.src.judging.config import ALL, JudgeConfig
from dataset_build.src.judging.prompts import OWN_RUBRIC, VERSION
from dataset_build.src.judging.structured import StructuredExpert
from dataset_build.src.judging.verdicts import schema_of
from dataset_build.src.metric_choice import parse_metric
from dataset_build.src.model_loader import expert_configs, load_experts, parse_expert
from dataset_build.src.registry import nearest
from dataset_build.src.response_store import request_key

if TYPE_CHECKING:
    from dataset_build.src.evaluator import Evaluator
    from dataset_build.src.judging.book import VerdictBook
    from dataset_build.src.records import Instruction

#: The metric that consults a judge.
METRIC = "judge"
#: How the names of experts that judge begin, so that none is taken for an expert that answers.
PREFIX = "judge:"


@dataclass(frozen=True, slots=True)
class Member:
    """One expert of a judge.

    Attributes:
        name: As the journal calls it.
        short_name: As people call it.
        request: The key of its replies in the journal.
        model: What its endpoint was asked for, where there is such a thing.
        config: Its configuration.
    """

    name: str
    short_name: str
    request: str
    model: str | None
    config: ExpertConfig


class Judge:
    """A judge whose experts exist.

    Args:
        name: How metrics call it.
        config: What it is.
        prices: Model -> price, for experts whose price is "auto".

    Raises:
        ConfigError: an expert or the file of the rubric does not exist.
    """

    def __init__(self, name: str, config: JudgeConfig, *, prices: Mapping[str, PriceConfig] | None = None) -> None:
        self.name = name
        self.config = config
        self.rubric = _rubric(name, config)
        self._prices = dict(prices or {})
        self._configs = _named(name, config)
        self._refuses_schema: set[str] = set()
        experts = self.load_experts()
        self.members = tuple(
            Member(expert.name, _short(expert.name, name), request_key(expert), expert.model, one)
            for expert, one in zip(experts, self._configs, strict=True)
        )
        asked = [VERSION, config.mode, self.rubric, config.scale, config.uses_reference, config.most_characters]
        #: Of everything that decides what is asked.
        self.question_version = _hash(asked)
        #: Of everything that decides the scores.
        self.version = _hash([*asked, config.baseline, *(member.request for member in self.members)])

    @property
    def is_pairwise(self) -> bool:
        """Whether it compares two answers."""
        return self.config.mode == "pairwise"

    def load_experts(self) -> list[Expert]:
        """Return its experts, anew at each call: those that were asked are closed."""
        plain = load_experts(self._configs, prices=self._prices)
        if not self.config.structured:
            return plain
        form = {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": schema_of(self.config, bounds=False)},
        }
        experts: list[Expert] = []
        for expert, config in zip(plain, self._configs, strict=True):
            options = config.options()
            body = options.get("extra_body") or {}
            if config.provider != "openai_compatible" or options.get("api") == "completions":
                experts.append(expert)
                continue
            with_form = config.model_copy(update={"extra_body": {"response_format": form, **body}})
            (by_schema,) = load_experts([with_form], prices=self._prices)
            experts.append(StructuredExpert(by_schema, expert, self._refuses_schema))
        return experts

    def check(self) -> None:
        """Find out, without a call, whether it plainly cannot judge.

        Raises:
            ConfigError: it cannot.
        """
        for expert in self.load_experts():
            expert.check()


@dataclass
class JudgePanel:
    """The judges of a build, and, once they were asked, what they said."""

    judges: Mapping[str, Judge] = field(default_factory=dict)
    book: "VerdictBook | None" = None

    @classmethod
    def load(
        cls, configs: Mapping[str, JudgeConfig], *, prices: Mapping[str, PriceConfig] | None = None
    ) -> "JudgePanel":
        """Return the judges.

        Raises:
            ConfigError: what one of them needs does not exist.
        """
        return cls({name: Judge(name, config, prices=prices) for name, config in configs.items()})

    def find(self, name: str | None) -> Judge:
        """Return a judge by its name; None is the only one.

        Raises:
            ConfigError: there is none of that name, or several to choose from.
        """
        known = sorted(self.judges)
        if name is None and len(known) == 1:
            return self.judges[known[0]]
        if not known:
            raise ConfigError("The metric 'judge' needs a judge; state one under `judges:` in the configuration.")
        if name is None:
            raise ConfigError(
                f'The metric \'judge\' could mean {", ".join(known)}; write judge{{"name": "{known[0]}"}}.'
            )
        if name not in self.judges:
            raise ConfigError(f"Unknown judge {name!r}.{nearest(name, known)} Known: {', '.join(known)}.")
        return self.judges[name]

    def of(self, instruction: "Instruction", evaluator: "Evaluator") -> list[Judge]:
        """Return the judges that the metrics of an instruction consult, each once."""
        found: dict[str, Judge] = {}
        for text in (evaluator.metric_of(instruction), *evaluator.further):
            for part in parse_metric(text).parts:
                if part.name == METRIC:
                    judge = self.find(part.options.get("name"))
                    found[judge.name] = judge
        return list(found.values())

    def check_baselines(self, experts: Sequence[str]) -> None:
        """Make sure that every baseline is an expert of the dataset.

        Raises:
            ConfigError: one is not.
        """
        for judge in self.judges.values():
            baseline = judge.config.baseline
            if judge.is_pairwise and baseline != ALL and baseline not in experts:
                raise ConfigError(
                    f"Judge {judge.name!r}: its baseline {baseline!r} is no expert of this dataset."
                    f"{nearest(baseline, list(experts))} There are {', '.join(experts)}; or write all."
                )


def _rubric(name: str, config: JudgeConfig) -> str:
    given = config.rubric
    if given is None:
        return OWN_RUBRIC
    if "\n" in given or not given.endswith((".txt", ".md")):
        return given.strip()
    try:
        return Path(given).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"Judge {name!r}: cannot read its rubric {given}: {problem}.") from None


def _named(name: str, config: JudgeConfig) -> list[ExpertConfig]:
    """Return the configurations of a judge's experts, one per expert, under the names the journal gives them."""
    given: list[ExpertConfig] = []
    for number, options in enumerate(config.experts, start=1):
        provider = options.get("provider")
        if isinstance(provider, str) and options.keys() == {"provider"} and not _is_simple(provider):
            given += parse_expert(provider)
        else:
            given.append(validate(ExpertConfig, options, where=f"Judge {name!r}, expert {number}"))
    return [
        one.model_copy(update={"name": f"{PREFIX}{name}:{one.name}"}) for one in expert_configs(given)
    ]  # fmt: skip


def _is_simple(provider: str) -> bool:
    return ":" not in provider and not provider.endswith((".yaml", ".yml"))


def _short(name: str, judge: str) -> str:
    return name.removeprefix(f"{PREFIX}{judge}:")


def _hash(facts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()[:12]
