"""The README of a router folder: what it chooses between, how well, and how to use it."""

import json
from collections.abc import Mapping
from typing import Any


def router_card(content: Mapping[str, Any]) -> str:
    """Return the card as Markdown with the YAML header that the Hugging Face hub reads.

    Args:
        content: What `router.json` holds.
    """
    metrics, data = content["metrics"], content["data"]
    lines = [
        "---",
        "library_name: moe-toolkit",
        "tags:",
        "- model-routing",
        "- mixture-of-experts",
        "---",
        "",
        "# Router",
        "",
        f"Chooses one of {len(content['experts'])} experts for an instruction, by the score each is expected to reach "
        f"and what it is expected to cost. Model type `{content['model_type']}`, "
        f"trained on {data.get('train_instructions', '?')} instructions.",
        "",
        "```python",
        "from mixture_training import MoEController",
        "",
        'moe = MoEController.load("PATH_OF_THIS_FOLDER")',
        'print(moe.recommend("What is 17% of 2,340?"))',
        "```",
        "",
        "## Evaluation on the validation split",
        "",
        *_evaluation(metrics),
        "",
        "## Experts",
        "",
        "| expert | mean score on train | mean cost on train (USD) | what it is |",
        "|---|---|---|---|",
        *(
            f"| {_cell(card['name'])} | {card['mean_score']:.3f} | {_cost(card['mean_cost'])} | "
            f"{_cell(card['description'])} |"
            for card in content["experts"]
        ),
        "",
        "## Data and options",
        "",
        "```json",
        json.dumps({"data": data, "options": content["options"]}, indent=2, ensure_ascii=False, default=str),
        "```",
        "",
    ]
    return "\n".join(lines)


def _evaluation(metrics: Mapping[str, Any]) -> list[str]:
    if not metrics.get("instructions"):
        return ["There were no validation rows, so nothing is known about its quality yet."]
    rows = [
        ("**this router**", metrics["routed"]),
        (f"best single ({_cell(metrics['best_single_name'])}, chosen on train)", metrics["best_single"]),
        ("random", metrics["random"]),
        ("oracle", metrics["oracle"]),
    ]
    ahead = metrics["vs_best_single"]
    return [
        "| choice | mean score | 95 % interval | mean cost (USD) |",
        "|---|---|---|---|",
        *(
            f"| {name} | {row['value']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {_cost(row['cost'])} |"
            for name, row in rows
        ),
        "",
        f"Against the best single expert: {ahead['value']:+.3f} "
        f"({ahead['low']:+.3f} to {ahead['high']:+.3f}, paired bootstrap), "
        f"over {metrics['instructions']} instructions, policy `{metrics['policy']}`.",
        *_abilities(metrics.get("abilities")),
    ]


def _abilities(metrics: Mapping[str, Any] | None) -> list[str]:
    if metrics is None or metrics["macro_f1"] is None:
        return []
    known = ", ".join(f"{name} {value:.2f}" for name, value in metrics["f1"].items() if value is not None)
    return [
        "",
        f"Abilities are told with a macro-F1 of {metrics['macro_f1']:.3f}, over the {metrics['instructions']} "
        f"instructions whose abilities are known: {_cell(known)}.",
    ]


def _cost(value: float | None) -> str:
    return "unknown" if value is None or value != value else f"{value:.3g}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
