"""The simplest expert: it repeats the instruction, for free. Ships for tests, users' tests included."""

from dataset_build.src.experts.base import Expert
from dataset_build.src.records import Answer, Instruction


class EchoExpert(Expert):
    """Answer with the instruction itself, for free."""

    provider = "echo"

    async def answer(self, instruction: Instruction) -> Answer:
        """Return the instruction's text."""
        words = len(instruction.text.split())
        return Answer(instruction.text, prompt_tokens=words, completion_tokens=words, finish_reason="stop")
