"""The README of a router folder: what it chooses between, how well, and how to use it."""

import json
from collections.abc import Mapping
from typing import Any

#: Steps of cost at which trade-offs are shown.
_SHOWN = 8


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
        *_guard(content.get("guard"), metrics),
        *_scores(content, metrics),
        *_trade_offs(content.get("trade_offs")),
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


def _guard(guard: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> list[str]:
    if guard is None:
        return []
    lines = ["", "## Guard", ""]
    for name, against in (
        ("quality", f"always asking {_cell(metrics.get('best_single_name') or 'the best single expert')}"),
        ("cost", "the zero router, which knows each expert's mean score and cost only"),
    ):
        found = guard[name]
        lines.append(
            f"- **{name}**: {'better' if found['is_better'] else 'not shown to be better'} than {against}: "
            f"{found['value']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f}, paired bootstrap), "
            f"over {found['rows']} instructions not learned from."
        )
    heeded = "on: where routing is not shown to be better, every instruction goes where the experts' means say"
    return [*lines, "", f"The guard is {heeded if guard['on'] else 'off'}."]


def _scores(content: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    known = [
        ("Expected calibration error", metrics.get("ece"), "{:.3f}"),
        ("Brier score", metrics.get("brier"), "{:.3f}"),
        ("Mean error of expected costs, as a share of the mean cost", metrics.get("cost_error"), "{:.0%}"),
        ("Share of validation unlike anything learned from", metrics.get("novel_share"), "{:.1%}"),
    ]
    told = [f"- {name}: {form.format(value)}" for name, value, form in known if value is not None]
    kinds = (content.get("calibration") or {}).get("kinds")
    if kinds:
        told.append(f"- Calibration: {', '.join(sorted(set(kinds)))}")
    return ["", "## Expected scores and costs", "", *told] if told else []


def _trade_offs(tables: Mapping[str, Any] | None) -> list[str]:
    """Return some points of the trade-off table, evenly spread over its cost."""
    if tables is None:
        return []
    table = tables["routed"]
    costs = table["costs"]
    wanted = [costs[-1] + (costs[0] - costs[-1]) * step / _SHOWN for step in range(_SHOWN, -1, -1)]
    shown = sorted({min(range(len(costs)), key=lambda row: abs(costs[row] - cost)) for cost in wanted})
    return [
        "",
        "## Trade-offs",
        "",
        "What routing costs and reaches on rows not learned from, by `cost_weight`; `budget=USD` and `target=SHARE` "
        "look up the whole table. Bounds hold with 95 % confidence, each on its side.",
        "",
        "| cost_weight | mean cost (USD) | at most | mean score | at least | share of the best single's |",
        "|---|---|---|---|---|---|",
        *(
            f"| {table['weights'][row]:.3g} | {costs[row]:.3g} | {table['costs_high'][row]:.3g} | "
            f"{table['qualities'][row]:.3f} | {table['qualities_low'][row]:.3f} | {table['kept'][row]:.1%} |"
            for row in shown
        ),
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
