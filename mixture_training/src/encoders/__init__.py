"""How instructions become vectors, by name; `a+b` concatenates two."""

from dataset_build import Registry
from mixture_training.src.encoders.base import Encoder

encoders: Registry[Encoder] = Registry(
    "encoder",
    {
        "static": "mixture_training.src.encoders.static:StaticEncoder",
        "minilm": "mixture_training.src.encoders.minilm:MiniLMEncoder",
        "minilm-fp32": "mixture_training.src.encoders.minilm:ExactMiniLMEncoder",
        "features": "mixture_training.src.encoders.features:FeaturesEncoder",
        "tfidf": "mixture_training.src.encoders.tfidf:TfidfEncoder",
        "openai": "mixture_training.src.encoders.endpoint:EndpointEncoder",
        "hf": "mixture_training.src.encoders.hugging_face:HuggingFaceEncoder",
    },
)
