"""What a judge says of responses whose worth is known: the raw material for deciding whether to trust it."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build.src.budget import Budget
from dataset_build.src.config import BuildConfig, read_yaml, validate
from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.experts.base import Expert
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.judging.asking import Judged, ask_judges, open_book
from dataset_build.src.judging.book import Opinion, VerdictBook
from dataset_build.src.judging.config import JudgeConfig
from dataset_build.src.judging.judges import METRIC, Judge, JudgePanel, Member
from dataset_build.src.querying import query_all
from dataset_build.src.records import Instruction, Response
from dataset_build.src.registry import nearest
from dataset_build.src.response_store import JOURNAL_NAME, ResponseStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class JudgedResponse:
    """A response with its known score and what the judge gave it.

    Attributes:
        instruction_id: What it answers.
        expert: Who gave it.
        gold: Its known score, in [0, 1].
        value: The judge's, in [0, 1]; None where it has no view.
        by_member: The same of each expert of the judge that has one.
        own: The experts of the judge that gave this response themselves.
        length: Characters of the response.
    """

    instruction_id: str
    expert: str
    gold: float
    value: float | None
    by_member: Mapping[str, float]
    own: frozenset[str]
    length: int


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two responses to one instruction, compared in both orders; values are the mean over the judge's experts.

    Attributes:
        instruction_id: What they answer.
        gold: The known score of the one, less that of the other.
        shown_first: The one's share of the win when it was shown first.
        shown_second: The same when it was shown second.
        value: What counts: the mean over the experts, of whom each calls it a tie where the order decided.
        consistent: The share of the experts for which the order made no difference.
        length: Characters of the one, less those of the other.
    """

    instruction_id: str
    gold: float
    shown_first: float
    shown_second: float
    value: float
    consistent: float
    length: int


@dataclass(frozen=True)
class JudgedSample:
    """What a judge said of a sample of a dataset.

    Attributes:
        judge: Its name.
        mode: `rubric` or `pairwise`.
        levels: Steps of its scale; of `pairwise` two (lost, tied, won).
        responses: Those with a known score.
        pairs: Of `pairwise`, every pair of them once.
        facts: What a dataset would record of the judge, canaries included.
        warnings: What a build would warn of.
    """

    judge: str
    mode: str
    levels: int
    responses: list[JudgedResponse]
    pairs: list[JudgedPair] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    request: str


def read_judge(path: Path, name: str | None = None) -> tuple[str, JudgeConfig]:
    """Return the judge in a YAML file: its keys alone, or a configuration with `judges`.

    Args:
        path: The file.
        name: Of the judge, where the file has several.

    Raises:
        ConfigError: there is no such file, or no such judge in it.
    """
    values = read_yaml(path)
    if "judges" not in values:
        return name or path.stem, validate(JudgeConfig, values, where=str(path))
    judges = values["judges"]
    if not isinstance(judges, dict) or not judges:
        raise ConfigError(f"{path}: `judges` is no mapping of names to judges.")
    if name is None and len(judges) > 1:
        raise ConfigError(f"{path} has several judges; choose one with --name: {', '.join(judges)}.")
    chosen = next(iter(judges)) if name is None else name
    if chosen not in judges:
        raise ConfigError(f"{path} has no judge {chosen!r}.{nearest(chosen, list(judges))} It has {', '.join(judges)}.")
    if not isinstance(judges[chosen], dict):
        raise ConfigError(f"{path}: the judge {chosen!r} is no mapping.")
    return chosen, validate(JudgeConfig, judges[chosen], where=f"{path}, judge {chosen!r}")


def judge_sample(
    frame: "pd.DataFrame",
    name: str,
    judge_config: JudgeConfig,
    *,
    config: BuildConfig,
    gold: str = "score",
    gold_range: tuple[float, float] = (0.0, 1.0),
    sample: int | None = None,
) -> JudgedSample:
    """Ask a judge about responses with known scores; verdicts are kept in a journal at `config.output`, and reused.

    Args:
        frame: A dataset in interchange form.
        name: Of the judge.
        judge_config: The judge.
        config: How to ask: budget, concurrency, deadlines, seed.
        gold: The column with the known scores.
        gold_range: Its worst and its best value.
        sample: About how many responses to judge; whole instructions are drawn. None means all.

    Raises:
        ConfigError: there is no such column or judge.
        DataError: no response has a known score.
        EarlyStopError: interrupted, or the budget is met, with every verdict kept.
    """
    rows = _known(frame, gold, gold_range, sample, config.seed)
    panel = JudgePanel.load({name: judge_config}, prices=config.prices)
    judge = panel.judges[name]
    judge.check()
    request = _request(rows)
    columns = [_Column(expert, request) for expert in sorted(rows["expert"].unique())]
    panel.check_baselines([column.name for column in columns])
    config.output.mkdir(parents=True, exist_ok=True)
    with ResponseStore(config.output / JOURNAL_NAME) as store, InstructionStore() as instructions:
        for row in rows.drop_duplicates("instruction_id").to_dict("records"):
            reference = row["reference"] if isinstance(row["reference"], str) else None
            instructions.add(Instruction(str(row["instruction_id"]), str(row["instruction"]), reference=reference))
        store.carry(
            (request, Response(str(row["instruction_id"]), str(row["expert"]), text=str(row["response"])))
            for row in rows.to_dict("records")
        )
        judged = Judged(panel, Evaluator(METRIC, panel=panel), instructions, columns, store)
        ask_judges(judged, lambda prompts, experts: _ask(prompts, experts, store, config))
        (audited,) = open_book(judged)
        assert panel.book is not None
        responses, pairs = _judged(judge, panel.book, rows, instructions)
        levels = 2 if judge.is_pairwise else judge_config.scale[1] - judge_config.scale[0]
        mode = judge_config.mode
        return JudgedSample(name, mode, levels, responses, pairs, audited.facts(), audited.warnings())


def _ask(prompts: InstructionStore, experts: Sequence[Expert], store: ResponseStore, config: BuildConfig) -> None:
    asyncio.run(
        query_all(prompts, experts, store=store, config=config, budget=Budget(config.budget_usd, store.spent_usd))
    )


def _known(
    frame: "pd.DataFrame", gold: str, gold_range: tuple[float, float], sample: int | None, seed: int
) -> "pd.DataFrame":
    """Return the rows with a response and a known score, which becomes the column `_gold`, of about `sample` rows."""
    import pandas as pd

    if gold not in frame.columns:
        raise ConfigError(f"The dataset has no column {gold!r}.{nearest(gold, [str(name) for name in frame.columns])}")
    low, high = gold_range
    known = frame.assign(_gold=(pd.to_numeric(frame[gold], errors="coerce").astype("float64") - low) / (high - low))
    known = known[known["_gold"].notna() & known["response"].notna()]
    if known.empty:
        raise DataError(f"No response of the dataset has a known score in the column {gold!r}.")
    if not known["_gold"].between(0.0, 1.0).all():
        raise DataError(f"The column {gold!r} has values outside {low:g} to {high:g}; give --gold_range LOW,HIGH.")
    known = known.drop_duplicates(["instruction_id", "expert"])
    if sample is None or sample >= len(known):
        return known
    sizes = known.groupby("instruction_id").size()
    drawn = sorted(sizes.index, key=lambda key: hashlib.sha256(f"{seed}\n{key}".encode("utf-8", "replace")).digest())
    before = sizes[drawn].cumsum() - sizes[drawn]
    return known[known["instruction_id"].isin(before.index[before < sample])]


def _request(rows: "pd.DataFrame") -> str:
    """Return a key of these very responses: others of the same experts are others."""
    digest = hashlib.sha256()
    for row in rows[["instruction_id", "expert", "response"]].itertuples(index=False):
        digest.update("\0".join(map(str, row)).encode("utf-8", "surrogatepass") + b"\0")
    return f"known-{digest.hexdigest()[:16]}"


def _judged(
    judge: Judge, book: VerdictBook, rows: "pd.DataFrame", instructions: InstructionStore
) -> tuple[list[JudgedResponse], list[JudgedPair]]:
    responses: list[JudgedResponse] = []
    pairs: list[JudgedPair] = []
    groups = {str(key): part.sort_values("expert") for key, part in rows.groupby("instruction_id")}
    for instruction in instructions.by_id():
        group = [{str(key): value for key, value in row.items()} for row in groups[instruction.id].to_dict("records")]
        for row in group:
            responses.append(_response(judge, book, instruction, row))
        if judge.is_pairwise:
            for number, one in enumerate(group):
                pairs += filter(None, (_pair(judge, book, instruction, one, other) for other in group[number + 1 :]))
    return responses, pairs


def _response(judge: Judge, book: VerdictBook, instruction: Instruction, row: Mapping[str, Any]) -> JudgedResponse:
    text = str(row["response"])
    opinions = book.opinions(judge, instruction, text)
    served = str(row.get("model") or "")
    return JudgedResponse(
        instruction_id=instruction.id,
        expert=str(row["expert"]),
        gold=float(row["_gold"]),
        value=book.score(judge, instruction, text).value,
        by_member={one.member.short_name: one.value for one in opinions if one.value is not None},
        own=frozenset(one.short_name for one in judge.members if _is_own(one, str(row["expert"]), served)),
        length=len(text),
    )


def _is_own(member: Member, expert: str, served: str) -> bool:
    """Return whether an expert of the judge gave a response itself, by its name or its model."""
    names = {name.lower() for name in (member.short_name, member.model) if name}
    return expert.lower() in names or served.lower() in names


def _pair(
    judge: Judge, book: VerdictBook, instruction: Instruction, one: Mapping[str, Any], other: Mapping[str, Any]
) -> JudgedPair | None:
    found = []
    for member in judge.members:
        opinion = Opinion(member)
        compared = book.compare(judge, opinion, instruction, str(one["response"]), str(other["response"]))
        if compared is not None:
            found.append(compared)
    if not found:
        return None
    count = len(found)
    return JudgedPair(
        instruction_id=instruction.id,
        gold=float(one["_gold"]) - float(other["_gold"]),
        shown_first=sum(each.shown_first for each in found) / count,
        shown_second=sum(each.shown_second for each in found) / count,
        value=sum(each.value for each in found) / count,
        consistent=sum(each.is_consistent for each in found) / count,
        length=len(str(one["response"])) - len(str(other["response"])),
    )
