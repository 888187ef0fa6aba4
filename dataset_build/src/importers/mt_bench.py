r"""MT-bench judgements (lm-sys/RouteLLM, `routellm/evals/mt_bench/judgements.jsonl`; lm-sys/FastChat `*_single.jsonl`).

A line is one judge's verdict on one turn: `question_id`, `model`, `judge` (judge model and prompt), `user_prompt` (what
the judge read: question and answer), `judgment`, `score` from 1 to 10 and -1 where no rating was found, `turn` 1 or 2.

One instruction is one question's first turn, which is what RouteLLM routes on; its score is the mean over the turns,
(mean - 1) / 9 so that it lies in [0, 1]. Where a turn's rating is -1 there is no score. Question and answer are cut out
of what the judge read. `question.jsonl` (FastChat: `question_id`, `category`, `turns`), beside the judgements or given
with them, adds categories, and questions that the judge's prompt does not quote. The answer `$ERROR$`, which FastChat
writes when a call failed, becomes an error. There are no costs, tokens or splits.
"""

import re
from collections.abc import Iterator

from dataset_build.src.importers.base import ImportFormat, Row, number
from dataset_build.src.importers.input_file import InputFile

FAILED_CALL = "$ERROR$"
#: Why a judgement is left out.
UNQUOTED = "no question in user_prompt (put FastChat's question.jsonl beside the judgements, or import it with them)"
_FIRST_TURN = (
    re.compile(r"\[Question\]\n(?P<question>.*?)\n\n\[The Start of ", re.DOTALL),
    re.compile(r"\[The Start of Assistant's Answer\]\n(?P<answer>.*)\n\[The End of Assistant's Answer\]", re.DOTALL),
)
_CONVERSATION = re.compile(
    r"<\|The Start of Assistant A's Conversation with User\|>\n\n### User:\n(?P<question>.*?)\n\n"
    r"### Assistant A:\n(?P<answer>.*?)\n\n### User:\n",
    re.DOTALL,
)


class MTBench(ImportFormat):
    """Judgements, and the questions they are about."""

    description = "MT-bench judgements (question_id, model, judge, user_prompt, score, turn)"
    keys = ("question_id", "model", "judge", "user_prompt", "judgment", "score", "turn", "tstamp")
    source = "mt_bench"

    def __init__(self) -> None:
        super().__init__()
        self._categories: dict[str, str] = {}
        self._questions: dict[str, str] = {}

    def detects(self, file: InputFile) -> bool:
        """Return whether it holds judgements or questions."""
        columns = set(file.columns)
        return {"question_id", "model", "user_prompt", "score", "turn"} <= columns or _is_questions(file)

    def order(self, file: InputFile) -> float:
        """Return that questions come first."""
        return -1.0 if _is_questions(file) else 0.0

    def rows(self, file: InputFile) -> Iterator[Row]:
        """Yield a row per question and model."""
        if _is_questions(file):
            self._read_questions(file)
            return
        beside = file.path.with_name("question.jsonl")
        if not self._questions and beside.is_file() and _is_questions(questions := InputFile(beside)):
            self._read_questions(questions)
        turns: dict[tuple[str, str, str], dict[int, tuple[float | None, str]]] = {}
        for record in file.records():
            judge = record.get("judge")
            name = str(judge[0] if isinstance(judge, list) and judge else judge)
            rating = number(record.get("score"), file)
            turn = turns.setdefault((str(record.get("question_id")), str(record.get("model")), name), {})
            turn[int(number(record.get("turn"), file) or 1)] = (rating, str(record.get("user_prompt")))
        self.notes["MT-bench ratings from 1 to 10 became (mean of the turns - 1) / 9."] = None
        for (question, model, judge_name), judged in turns.items():
            asked, answer = _first_turn([prompt for _, prompt in judged.values()])
            asked = asked or self._questions.get(question)
            if asked is None:
                self.dropped[UNQUOTED] += 1
            else:
                yield self._row(question, model, judge_name, judged, asked, answer)

    def _row(
        self,
        question: str,
        model: str,
        judge: str,
        turns: dict[int, tuple[float | None, str]],
        asked: str,
        answer: str | None,
    ) -> Row:
        ratings = [rating for rating, _ in turns.values() if rating is not None and rating != -1]
        failed = answer == FAILED_CALL
        return {
            "instruction": asked,
            "category": self._categories.get(question),
            "expert": model,
            "response": None if failed else answer,
            "error": "error: the call failed when the answers were collected" if failed else None,
            "score": (sum(ratings) / len(ratings) - 1) / 9 if len(ratings) == len(turns) else None,
            "metric": f"mt_bench_rating_by_{judge}",
            "question_id": question,
        }

    def _read_questions(self, file: InputFile) -> None:
        for one in file.records():
            key, turns = str(one.get("question_id")), one.get("turns")
            if one.get("category"):
                self._categories[key] = str(one["category"])
            if isinstance(turns, list) and turns and isinstance(turns[0], str):
                self._questions[key] = turns[0]


def _is_questions(file: InputFile) -> bool:
    return {"question_id", "category", "turns"} <= set(file.columns) and "score" not in file.columns


def _first_turn(prompts: list[str]) -> tuple[str | None, str | None]:
    """Return question and answer of the first turn, as one of the judge's prompts quotes them."""
    for prompt in prompts:
        question, answer = (pattern.search(prompt) for pattern in _FIRST_TURN)
        if question:
            return question["question"], answer["answer"] if answer else None
    for prompt in prompts:
        if talk := _CONVERSATION.search(prompt):
            return talk["question"], talk["answer"]
    return None, None
