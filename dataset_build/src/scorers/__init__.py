"""How responses are scored, by metric name."""

from dataset_build.src.registry import Registry
from dataset_build.src.scorers.base import Scorer

scorers: Registry[Scorer] = Registry(
    "metric",
    {
        "bleu": "dataset_build.src.scorers.bleu:Bleu",
        "chrf": "dataset_build.src.scorers.chrf:Chrf",
        "code_tests": "dataset_build.src.scorers.code_tests:CodeTests",
        "code_text": "dataset_build.src.scorers.code_text:CodeText",
        "embedding_similarity": "dataset_build.src.scorers.embedding_similarity:EmbeddingSimilarity",
        "exact_match": "dataset_build.src.scorers.exact_match:ExactMatch",
        "instruction_following": "dataset_build.src.scorers.instruction_following:InstructionFollowing",
        "json_schema": "dataset_build.src.scorers.json_schema:JsonSchema",
        "json_valid": "dataset_build.src.scorers.json_valid:JsonValid",
        "judge": "dataset_build.src.scorers.judge:JudgeScorer",
        "label": "dataset_build.src.scorers.label:Label",
        "list_f1": "dataset_build.src.scorers.list_f1:ListF1",
        "math": "dataset_build.src.scorers.math_equivalence:MathEquivalence",
        "meteor": "dataset_build.src.scorers.meteor:Meteor",
        "multiple_choice": "dataset_build.src.scorers.multiple_choice:MultipleChoice",
        "number": "dataset_build.src.scorers.number:Number",
        "python_literal": "dataset_build.src.scorers.python_literal:PythonLiteral",
        "regex": "dataset_build.src.scorers.regular_expression:RegularExpression",
        "rouge1": "dataset_build.src.scorers.rouge:Rouge1",
        "rouge2": "dataset_build.src.scorers.rouge:Rouge2",
        "rouge_l": "dataset_build.src.scorers.rouge:RougeL",
        "set_f1": "dataset_build.src.scorers.list_f1:SetF1",
        "text_overlap": "dataset_build.src.scorers.text_overlap:TextOverlap",
        "token_f1": "dataset_build.src.scorers.token_f1:TokenF1",
    },
)
