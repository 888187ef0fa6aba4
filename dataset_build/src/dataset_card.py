"""The two descriptions of a built dataset: `README.md` for people and the hub, `dataset.json` for programs."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

from dataset_build.src.config import BuildConfig
from dataset_build.src.dataset_builder import ExpertColumn
from dataset_build.src.dataset_summary import DatasetSummary, ExpertSummary
from dataset_build.src.records import SPLITS

FORMAT_VERSION = 1
#: In the costs, what stands for a category where a judge or a tagger was asked.
JUDGING = "(judging)"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def dataset_facts(
    summary: DatasetSummary,
    experts: Sequence[ExpertColumn],
    config: BuildConfig,
    *,
    resolved: Mapping[str, Any],
    metric_versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return the content of `dataset.json`.

    Args:
        summary: What was written.
        experts: The experts of the dataset.
        config: What was asked for.
        resolved: The same as plain values, without secrets.
        metric_versions: Metric -> version of its scorer.
    """
    return {
        "format_version": FORMAT_VERSION,
        "name": config.output.resolve().name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "experts": [dict(expert.facts) for expert in experts],
        "metrics": {metric: metric_versions[metric] for metric in sorted(summary.metrics)},
        "seed": config.seed,
        "config": dict(resolved),
        "versions": {"moe-toolkit": _own_version(), "python": platform.python_version()},
        "counts": {
            "instructions": summary.instructions,
            "responses": summary.responses,
            "answered": sum(expert.answered for expert in summary.experts.values()),
            "failed": sum(expert.errors.total() for expert in summary.experts.values()),
            "unscored": summary.unscored.total(),
            "splits": {split: summary.splits[split] for split in SPLITS},
            "categories": dict(sorted(summary.categories.items())),
        },
        "costs": {
            name: {
                category: {"calls": cell.calls, "usd": cell.cost_sum}
                for category, cell in sorted(expert.by_category.items())
            }
            for name, expert in sorted(summary.experts.items())
        }
        | {
            name: {JUDGING: {"calls": cell.calls, "usd": cell.cost_sum}}
            for name, cell in sorted(summary.judging.items())
        },
        "labels": {
            "compared": summary.compared,
            "nobody_right": summary.nobody_right,
            "all_equal": summary.all_equal,
            "best": {
                name: {"alone": expert.best_alone, "tied": expert.best_tied}
                for name, expert in sorted(summary.experts.items())
            },
            "agreement": [asdict(pair) for pair in summary.agreement.pairs()],
        },
        "truncated": {name: expert.truncated for name, expert in sorted(summary.experts.items()) if expert.truncated},
        "other_models": {
            name: dict(expert.other_models) for name, expert in sorted(summary.experts.items()) if expert.other_models
        },
        "missing": {name: expert.missing for name, expert in sorted(summary.experts.items()) if expert.missing},
        "content_hash": summary.content_hash,
    }


def _own_version() -> str:
    try:
        return version("moe-toolkit")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "checkout"


def write_card(summary: DatasetSummary, facts: Mapping[str, Any]) -> str:
    """Return `README.md`: a YAML header that `datasets.load_dataset` understands, then what a reader asks first."""
    sources = [source["source"] for source in facts["config"]["sources"]]
    own = set(sources) == {"bundled"}
    header = {
        "license": "mit" if own else "other",
        "pretty_name": facts["name"],
        "tags": ["llm-routing", "mixture-of-experts", "evaluation"],
        "size_categories": [next((name for limit, name in _SIZES if summary.responses < limit), "n>1M")],
        "configs": [
            {
                "config_name": name,
                "data_files": [
                    {"split": split, "path": f"{folder}/{split}.parquet"} for split in SPLITS if summary.splits[split]
                ],
            }
            for name, folder in (("default", "data"), ("labels", "labels"))
        ],
    }
    licence = (
        "The instructions were written by the moe-toolkit project (MIT)."
        if own
        else f"The instructions come from {', '.join(sources)}: their licence is that of their source."
    )
    return f"""---
{yaml.safe_dump(header, sort_keys=False).strip()}
---
# {facts["name"]}

What {len(summary.experts)} experts answered to {summary.instructions:,} instructions, what each answer scored and what
it cost. One row per instruction and expert ({summary.responses:,} rows), for training a router that sends each
instruction to the expert that does it best for the money. Built with moe-toolkit, seed {facts["seed"]}.

```python
from datasets import load_dataset

dataset = load_dataset("path/to/this/folder")           # a row per instruction and expert
labels = load_dataset("path/to/this/folder", "labels")  # a row per instruction: every score, and all that are best
```

## Experts

A failed call has an error and no score; it is counted here and is not in the mean.

| expert | mean score | best alone | best with others | answered | failed | mean cost, USD |
|---|---:|---:|---:|---:|---:|---:|
{_table([_expert_row(name, expert) for name, expert in sorted(summary.experts.items())])}

## Instructions

| split | instructions |
|---|---:|
{_table([(split, f"{summary.splits[split]:,}") for split in SPLITS if summary.splits[split]])}

| category | instructions | best expert there | its mean score |
|---|---:|---|---:|
{_table([_category_row(name, count, summary) for name, count in sorted(summary.categories.items())])}

Instructions of the same text are always in the same split.

## How much there is to choose

On {_share(summary.nobody_right, summary.compared)} of the {summary.compared:,} instructions with at least two scores no
expert is right at all, and on {_share(summary.all_equal, summary.compared)} all experts score the same: there no choice
matters. Scored by {", ".join(sorted(summary.metrics)) or "nothing"}.
{_agreement(summary)}{_abilities(facts.get("abilities"))}
## Licence

{licence} The responses are those of the experts above: whoever publishes them minds the terms of their providers.
"""


def _expert_row(name: str, expert: ExpertSummary) -> tuple[str, ...]:
    mean = "none" if expert.mean_score is None else f"{expert.mean_score:.3f}"
    failed = ", ".join(f"{kind} {count:,}" for kind, count in expert.errors.most_common()) or "0"
    cost = f"{expert.cost_sum / expert.answered:.3g}" if expert.answered else "none"
    return (name, mean, f"{expert.best_alone:,}", f"{expert.best_tied:,}", f"{expert.answered:,}", failed, cost)


def _category_row(name: str, count: int, summary: DatasetSummary) -> tuple[str, ...]:
    means = {
        expert: cell.mean_score
        for expert, one in summary.experts.items()
        if (cell := one.by_category.get(name)) is not None and cell.mean_score is not None
    }
    if not means:
        return (name, f"{count:,}", "none", "none")
    highest = max(means.values())
    best = sorted(expert for expert, mean in means.items() if mean == highest)
    return (name, f"{count:,}", ", ".join(best), f"{highest:.3f}")


def _agreement(summary: DatasetSummary) -> str:
    pairs = summary.agreement.pairs()
    if not pairs:
        return ""
    rows = [
        (
            pair.first,
            pair.second,
            f"{pair.count:,}",
            f"{pair.equal:.1%}",
            "none" if pair.correlation is None else f"{pair.correlation:.3f}",
        )
        for pair in pairs
    ]
    return f"""
How the metrics of the same responses agree ("score" is the label):

| metric | metric | responses | equal | correlation |
|---|---|---:|---:|---:|
{_table(rows)}
"""


def _abilities(facts: Mapping[str, Any] | None) -> str:
    if facts is None:
        return ""
    made = [f"came with {facts['given']:,} instructions"] if facts["given"] else []
    if facts["by"] is not None:
        made.append(f"were filled in for {facts['tagged']:,} by `{facts['by']}` (version {facts['version']})")
    made.append(f"are unknown for {facts['unknown']:,}")
    return f"""
## Abilities

The column `abilities` holds a JSON list of what an instruction asks for. They {", ".join(made[:-1])} and {made[-1]}.

| ability | instructions |
|---|---:|
{_table([(name, f"{count:,}") for name, count in sorted(facts["counts"].items())])}
"""


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in row)} |" for row in rows)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"
