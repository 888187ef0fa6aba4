"""What a build is made of: instructions, experts, metrics, judges; found, checked, and joined with what is there."""

import logging
from dataclasses import asdict

from dataset_build.src.budget import check_bounded
from dataset_build.src.cleaning import Cleaner
from dataset_build.src.config import BuildConfig, ExpertConfig
from dataset_build.src.continuation import Reuse, recognise
from dataset_build.src.dataset_builder import ExpertColumn
from dataset_build.src.errors import ConfigError
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.existing_dataset import ExistingDataset
from dataset_build.src.experts.base import Expert
from dataset_build.src.forewarning import forewarnings, refuse_to_drop
from dataset_build.src.judging.judgements import read_judgements
from dataset_build.src.judging.judges import JudgePanel
from dataset_build.src.metric_choice import MetricRule, unused_rules
from dataset_build.src.options import without_secrets
from dataset_build.src.response_store import ResponseStore, request_key
from dataset_build.src.tagging import Tagging

#: Characters of an instruction that a message quotes.
MOST_QUOTED = 60

logger = logging.getLogger(__name__)


class Ingredients:
    """What a configuration amounts to: instructions, experts, metrics; found, and not yet used."""

    def __init__(self, config: BuildConfig) -> None:
        from dataset_build.src.data_loader import gather, load_source
        from dataset_build.src.decontamination import Decontaminator
        from dataset_build.src.model_loader import expert_configs, load_experts

        self._config = config
        self._rules = [MetricRule(**rule.model_dump()) for rule in config.metrics]
        self.panel = JudgePanel.load(config.judges, prices=config.prices)
        self.evaluator = Evaluator(
            config.metric,
            self._rules,
            config.further_metrics,
            self.panel,
            allow_code_execution=config.allow_code_execution,
            allow_weak_jail=config.allow_weak_jail,
        )
        self.tagging = Tagging(config.abilities, prices=config.prices)
        self.experts = load_experts(config.experts, prices=config.prices)
        self.configs = expert_configs(config.experts)
        tests = [one for test in config.decontaminate for one in load_source(test).instructions(seed=config.seed)]
        self.cleaner = Cleaner(
            deduplicate=config.deduplicate,
            near_threshold=config.near_threshold,
            decontaminator=Decontaminator(tests, near_threshold=config.near_threshold) if tests else None,
        )
        self.instructions = gather(config.sources, seed=config.seed, limit=config.max_iter, cleaner=self.cleaner)
        #: What of a dataset that is continued is known under another id.
        self.reuse = Reuse()
        pairs = zip(self.experts, self.configs, strict=True)
        self.columns = [_column(expert, expert_config) for expert, expert_config in pairs]

    def unused_rules(self) -> list[str]:
        """Return the rules for metrics that are for none of the instructions."""
        every = (instruction for page in self.instructions.pages() for instruction in page)
        return [str(rule) for rule in unused_rules(self._rules, every)]

    def check(self) -> None:
        """Find out, without a call, whether the build can go to its end."""
        self._check_metrics()
        self.tagging.check(self.instructions)
        experts = self._asked()
        for expert in experts:
            expert.check()
        if self._config.budget_usd is not None:
            first = next(iter(self.instructions))
            for expert in experts:
                check_bounded(expert, first)

    def joined(self, existing: ExistingDataset | None, store: ResponseStore) -> list[ExpertColumn]:
        """Join what earlier runs left; returns the experts of the dataset.

        Args:
            existing: The finished dataset to take over, if any.
            store: The journal, which takes its responses over.

        Raises:
            ConfigError: an unfinished build left answers that the dataset would not hold.
        """
        is_resumed = len(store) > 0
        columns = list(self.columns)
        if existing is not None:
            keeps_metric = "metric" not in self._config.model_fields_set
            self.reuse = recognise(self.instructions, existing.instructions)
            there = self.reuse.instructions(existing.instructions(keeps_metric=keeps_metric))
            self.instructions.merge(there, keeps_metric=keeps_metric)
            self.tagging.keep(self.instructions, self.reuse.instructions(existing.instructions()))
            names = {column.name for column in columns}
            columns += [column for column in existing.experts if column.name not in names]
        self._check_metrics()
        store.set_outdated_aside(self.instructions)
        store.hand_on(self.instructions)
        if not self._config.overwrite:
            refuse_to_drop(self.instructions, columns, store, self._config.output, existing)
        for line in forewarnings(
            self._config, self.instructions, columns, self.evaluator, self._asked(), existing, is_resumed=is_resumed
        ):
            logger.warning("%s", line)
        if existing is not None:
            store.carry(self.reuse.responses(existing.responses()))
            store.carry(read_judgements(self._config.output))
        return columns

    def _check_metrics(self) -> None:
        """Make sure that the metrics that instructions name exist; of one that does not, say who names it."""
        for metric in sorted(self.instructions.metrics()):
            try:
                self.evaluator.check([metric])
            except ConfigError as problem:
                one = next(one for one in self.instructions if one.metric == metric)
                text = " ".join(one.text.split())[:MOST_QUOTED]
                raise ConfigError(f"{one.source}, instruction {one.id} ({text!r}): {problem}") from None

    def _asked(self) -> list[Expert]:
        """Return everybody who is asked: experts, judges, taggers."""
        judges = (one for judge in self.panel.judges.values() for one in judge.load_experts())
        return [*self.experts, *judges, *self.tagging.experts()]

    def __enter__(self) -> "Ingredients":
        return self

    def __exit__(self, *_: object) -> None:
        self.instructions.close()
        self.evaluator.close()


def _column(expert: Expert, config: ExpertConfig) -> ExpertColumn:
    request = request_key(expert)
    facts = {
        "name": expert.name,
        "provider": expert.provider,
        "description": expert.description,
        "price": asdict(expert.price),
        "config": without_secrets(config.model_dump(mode="json", exclude_none=True)),
        "request": request,
    }
    return ExpertColumn(expert.name, request, facts, expert.model)
