"""How responses are scored, by metric name."""

from dataset_build.src.registry import Registry
from dataset_build.src.scorers.base import Scorer

scorers: Registry[Scorer] = Registry(
    "metric",
    {
        "code_text": "dataset_build.src.scorers.code_text:CodeText",
        "exact_match": "dataset_build.src.scorers.exact_match:ExactMatch",
        "judge": "dataset_build.src.scorers.judge:JudgeScorer",
        "label": "dataset_build.src.scorers.label:Label",
        "multiple_choice": "dataset_build.src.scorers.multiple_choice:MultipleChoice",
        "number": "dataset_build.src.scorers.number:Number",
        "math": "dataset_build.src.scorers.math_equivalence:MathEquivalence",
        "text_overlap": "dataset_build.src.scorers.text_overlap:TextOverlap",
    },
)
