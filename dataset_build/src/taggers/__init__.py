"""How instructions get their abilities, by name."""

from dataset_build.src.abilities import Tagger
from dataset_build.src.registry import Registry

taggers: Registry[Tagger] = Registry(
    "tagger",
    {
        "judge": "dataset_build.src.taggers.judge:JudgeTagger",
        "rules": "dataset_build.src.taggers.rules:RulesTagger",
        "similarity": "dataset_build.src.taggers.similarity:SimilarityTagger",
    },
)
