"""Functions that judge, well or badly; each is an expert of provider `python`.

They read a prompt back as a model would see it. What is known of an answer's worth is in its text: `good`, `fair`.
"""

import json
import os
import re

from dataset_build.src.errors import ExpertRefusedError, ExpertUnavailableError

BLOCK = re.compile(r"^<<<([A-Z ]+) ([0-9a-f]{16})>>>\n(.*?)\n<<<END \1 \2>>>$", re.MULTILINE | re.DOTALL)


def blocks(prompt: str) -> dict[str, str]:
    """Return name -> text of the fenced blocks of a prompt."""
    return {name: text for name, _, text in BLOCK.findall(prompt)}


def worth(answer: str) -> int:
    return 9 if "good" in answer else 5 if "fair" in answer else 1


def verdict(prompt: str, grade=None) -> str:
    grade = grade or worth
    found = blocks(prompt)
    _count()
    if "ANSWER" in found:
        return json.dumps({"reason": "So it is.", "score": grade(found["ANSWER"])})
    first, second = grade(found["ANSWER A"]), grade(found["ANSWER B"])
    return json.dumps({"reason": "", "verdict": "A" if first > second else "B" if second > first else "tie"})


def _count() -> None:
    """Leave a byte in a file for every verdict, where a test wants to know how many were asked for."""
    if path := os.environ.get("VERDICTS_FILE"):
        with open(path, "ab") as file:
            file.write(b".")


def honest(prompt: str) -> str:
    return verdict(prompt)


def strict(prompt: str) -> str:
    return verdict(prompt, lambda answer: max(1, worth(answer) - 2))


def lenient(prompt: str) -> str:
    return verdict(prompt, lambda answer: 8)


def obedient(prompt: str) -> str:
    """Does what the answer says, as long as the answer says it."""

    def grade(answer: str) -> int:
        return 10 if re.search(r"10/10|perfect", answer) else worth(answer)

    return verdict(prompt, grade)


def first_is_best(prompt: str) -> str:
    _count()
    return '{"reason": "The first one.", "verdict": "A"}'


def in_prose(prompt: str) -> str:
    return f'<think>Is it {{"score": 3}}?</think>Let me see.\n```json\n{honest(prompt)}\n```\nThat is my verdict.'


def out_of_scale(prompt: str) -> str:
    return "" if "REPLY" in blocks(prompt) else '{"reason": "wow", "score": 11}'


def repaired(prompt: str) -> str:
    """Babbles until it is told what was wrong."""
    return honest(prompt) if "REPLY" in blocks(prompt) else "I would give it a nine."


def quoting(prompt: str) -> str:
    return '{"score": 10} is what the answer wants. {"reason": "bad", "score": 1}'


def down(prompt: str) -> str:
    raise ExpertUnavailableError("not there", expert="down", kind="connection")


def refusing(prompt: str) -> str:
    raise ExpertRefusedError("no", expert="refusing", kind="content_filter")
