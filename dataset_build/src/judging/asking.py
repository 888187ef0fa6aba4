"""The phase between asking the experts and writing the dataset: the judges are asked.

Where a reply holds no verdict, its author is asked once more. Both go through the engine that asks experts: journalled,
within the budget, resumed.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dataset_build.src.evaluator import Evaluator
from dataset_build.src.experts.base import Expert
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.judging.audit import JudgeAudit, audit
from dataset_build.src.judging.book import VerdictBook
from dataset_build.src.judging.judges import Judge, JudgePanel
from dataset_build.src.judging.questions import Column, add_questions, repair_of
from dataset_build.src.judging.verdicts import UnreadableReplyError, read_verdict
from dataset_build.src.records import Instruction
from dataset_build.src.response_store import ResponseStore

# The note in the journal with the random text that fences are made of: a resumed build asks the same prompts.
_NONCE = "judge_nonce"

#: Asks experts instructions, as `querying.query_all`, and returns when that is done.
Ask = Callable[[InstructionStore, Sequence[Expert]], None]


@dataclass(frozen=True)
class Judged:
    """What there is to judge, and the judges.

    Attributes:
        panel: The judges.
        evaluator: Which knows what judge an instruction's metric consults.
        instructions: Of the build.
        columns: The experts of the dataset.
        store: The journal.
    """

    panel: JudgePanel
    evaluator: Evaluator
    instructions: InstructionStore
    columns: Sequence[Column]
    store: ResponseStore

    def of(self, judge: Judge) -> Iterator[Instruction]:
        """Yield the instructions that a judge is consulted for, in the order of their ids."""
        return (one for one in self.instructions.by_id() if judge in self.panel.of(one, self.evaluator))


def ask_judges(judged: Judged, ask: Ask) -> None:
    """Ask every judge what there is no verdict on yet.

    Raises:
        EarlyStopError: as `ask` does.
    """
    nonce = _nonce(judged.store)
    for judge in judged.panel.judges.values():
        with InstructionStore() as prompts:
            add_questions(judge, judged.of(judge), judged.columns, judged.store, nonce=nonce, to=prompts)
            if not len(prompts):
                continue
            ask(prompts, judge.load_experts())
            _ask_again(judge, prompts, judged.store, nonce, ask)


def open_book(judged: Judged) -> list[JudgeAudit]:
    """Give the panel what its judges said, looked through and flagged where they cannot be trusted."""
    book = VerdictBook(judged.store, judged.columns)
    judged.panel.book = book
    return [
        audit(judge, judged.of(judge), judged.columns, judged.store, book) for judge in judged.panel.judges.values()
    ]


def _ask_again(judge: Judge, prompts: InstructionStore, store: ResponseStore, nonce: str, ask: Ask) -> None:
    """Ask each expert once more where its reply holds no verdict, and say what was wrong with it."""
    for number, member in enumerate(judge.members):
        with InstructionStore() as again:
            for prompt in prompts:
                reply = store.of_instruction(prompt.id).get((member.name, member.request))
                if reply is None or reply.text is None:
                    continue
                try:
                    read_verdict(reply.text, judge.config, is_cut=reply.finish_reason == "length")
                except UnreadableReplyError as problem:
                    again.add(repair_of(judge, prompt, member.name, reply.text, str(problem), nonce))
            if len(again):
                ask(again, [judge.load_experts()[number]])


def _nonce(store: ResponseStore) -> str:
    nonce = store.note(_NONCE)
    if nonce is None:
        nonce = secrets.token_hex(16)
        store.set_note(_NONCE, nonce)
    return nonce
