"""How instructions become vectors, by name; `a+b` concatenates two."""

from dataset_build import Registry
from mixture_training.src.encoders.base import Encoder

encoders: Registry[Encoder] = Registry(
    "encoder",
    {
        "minilm": "mixture_training.src.encoders.minilm:MiniLMEncoder",
        "tfidf": "mixture_training.src.encoders.tfidf:TfidfEncoder",
        "hf": "mixture_training.src.encoders.hugging_face:HuggingFaceEncoder",
    },
)
