"""Responses scored per second and scorer on one core, beside the library underneath called bare; and hostile answers.

    taskset -c 0 python benchmarks/scoring_speed.py [--rounds 5]

The texts are made up from a seed: references of 5 to 60 words and answers with some words changed. Each round times
both in turn; the figure is the median. `hostile` is the longest any of the hostile answers took, and how they ended.
"""

import argparse
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence

from dataset_build import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.base import Scorer

Pairs = Sequence[tuple[str, str]]
WORDS = [
    "the", "a", "model", "answer", "of", "and", "cat", "house", "river", "Paris", "12", "3.5", "quickly", "didn't",
    "because", "(maybe)", "blue;", "runs", "were", "light",
]  # fmt: skip
SCHEMA = (
    '{"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}}'
)
CONSTRAINTS = [{"id": "punctuation:no_comma"}, {"id": "length_constraints:number_words", "num_words": 20}]
#: Metrics that are not timed: they need a judge, a jail, or processes of their own.
LEFT_OUT = {"judge", "code_tests", "math"}


def main() -> None:
    """Run it and print the figures as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    bare = bare_calls()
    for name in scorers:
        if name in LEFT_OUT:
            continue
        scorer = scorers[name]()
        pairs = pairs_for(name)
        own, library = [], []
        for _ in range(rounds):
            own.append(rate(lambda text, ref, s=scorer, n=name: s.score(instruction(n, ref), text), pairs))
            if name in bare:
                library.append(rate(bare[name], pairs))
        figures: dict[str, object] = {"metric": name, "per_second": round(statistics.median(own))}
        if library:
            figures["library_per_second"] = round(statistics.median(library))
            figures["time_over_library"] = round(statistics.median(library) / statistics.median(own) - 1, 3)
        print(json.dumps({**figures, "hostile": hostile(scorer, name, pairs[0][1])}), flush=True)


def rate(call: Callable[[str, str], object], pairs: Pairs) -> float:
    """Return calls per second."""
    started = time.perf_counter()
    for text, reference in pairs:
        call(text, reference)
    return len(pairs) / (time.perf_counter() - started)


def instruction(name: str, reference: str) -> Instruction:
    """Return an instruction with what the metric needs, without the cost of its hash."""
    extra = {"constraints": CONSTRAINTS} if name == "instruction_following" else {}
    return Instruction(id="i", text="Which? A) x B) y C) z", reference=reference, extra=extra)


def prose(seed: int = 0) -> Pairs:
    """Return answers and references of 5 to 60 words; every reference is met by four answers, as by four experts."""
    rng = random.Random(seed)
    pairs = []
    for _ in range(150):
        reference = rng.choices(WORDS, k=rng.randint(5, 60))
        for _ in range(4):
            changed = [word if rng.random() < 0.7 else rng.choice(WORDS) for word in reference]
            pairs.append((" ".join(changed), " ".join(reference)))
    return pairs


def pairs_for(name: str) -> Pairs:
    """Return answers and references of the form a metric reads."""
    texts = prose()
    if name in ("number", "python_literal"):
        return [(f"{text} So the answer is **{len(text):,}**.", str(len(ref))) for text, ref in texts]
    if name == "multiple_choice":
        return [(f"{text} The answer is ({'ABC'[len(text) % 3]}).", "C") for text, _ in texts]
    if name == "label":
        return [(f"{text} Overall it is positive.", "positive") for text, _ in texts]
    if name == "regex":
        return [(text, r"\bblue\b.*\briver\b") for text, _ in texts]
    if name in ("json_valid", "json_schema"):
        return [(json.dumps({"name": text, "n": len(text)}), SCHEMA) for text, _ in texts]
    if name in ("list_f1", "set_f1"):
        return [("\n".join(f"- {word}" for word in text.split()), ", ".join(ref.split())) for text, ref in texts]
    return texts


def bare_calls() -> dict[str, Callable[[str, str], object]]:
    """Return metric -> the library's own call for an answer and a reference."""
    import jsonschema
    import regex
    from nltk.tokenize import NLTKWordTokenizer
    from nltk.translate.meteor_score import single_meteor_score
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import BLEU, CHRF

    from dataset_build.src.minilm import MiniLM

    bleu, chrf, words, encoder = BLEU(effective_order=True), CHRF(), NLTKWordTokenizer(), MiniLM.load()
    rouge = {name: RougeScorer([name]) for name in ("rouge1", "rouge2", "rougeL")}
    schema = jsonschema.Draft202012Validator(json.loads(SCHEMA))
    pattern = regex.compile(r"\bblue\b.*\briver\b")

    class NoSynonyms:
        def synsets(self, word: str) -> list[str]:
            return []

    none = NoSynonyms()

    def meteor(text: str, ref: str) -> float:
        return single_meteor_score(words.tokenize(ref), words.tokenize(text), wordnet=none)

    def cosine(text: str, ref: str) -> float:
        one, other = encoder.encode([text, ref])
        return float(one @ other)

    return {
        "bleu": lambda text, ref: bleu.sentence_score(text, [ref]),
        "chrf": lambda text, ref: chrf.sentence_score(text, [ref]),
        "embedding_similarity": cosine,
        "json_schema": lambda text, ref: schema.is_valid(json.loads(text)),
        "json_valid": lambda text, ref: json.loads(text),
        "meteor": meteor,
        "regex": lambda text, ref: pattern.search(text),
        "rouge1": lambda text, ref: rouge["rouge1"].score(ref, text),
        "rouge2": lambda text, ref: rouge["rouge2"].score(ref, text),
        "rouge_l": lambda text, ref: rouge["rougeL"].score(ref, text),
    }


def hostile(scorer: Scorer, name: str, reference: str) -> dict[str, object]:
    """Return the longest time any hostile answer took in seconds, which one, and how all of them ended."""
    answers = {
        "100 MB of digits": "9" * 100_000_000,
        "nested arrays": "[" * 50_000 + "]" * 49_999,
        "nested objects": '{"a":' * 19_000,
        "powers": "9**9**9**9",
        "null bytes": "\x00" * 99_999,
        "lone surrogates": "\ud800" * 99_999,
        "right to left": "\u202e" * 50_000 + "the answer is 3",
        "one word": "a" * 99_999 + "!",
        "99,999 words": "猫犬" * 49_999,
        "words": "a b " * 24_999,
        "announcements": "the answer is " * 7_000,
        "bullets": "- a\n" * 24_999,
        "fences": "```\n" * 24_999,
        "asterisks": "*" * 99_999,
        "negations": "not blue not river " * 5_000,
        "combining": "e" + "\u0301" * 99_000,
    }
    seconds: dict[str, float] = {}
    ends: Counter[str] = Counter()
    for what, text in answers.items():
        started = time.perf_counter()
        score = scorer.score(instruction(name, reference), text)
        seconds[what] = time.perf_counter() - started
        ends["score" if score.value is not None else "reason"] += 1
    worst = max(seconds, key=lambda what: seconds[what])
    return {"worst": worst, "seconds": round(seconds[worst], 3), **ends}


if __name__ == "__main__":
    main()
