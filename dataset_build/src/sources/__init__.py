"""Where instructions come from."""

from dataset_build.src.registry import Registry
from dataset_build.src.sources.base import Source

sources: Registry[Source] = Registry(
    "source",
    {
        "bundled": "dataset_build.src.sources.bundled.source:BundledSource",
        "file": "dataset_build.src.sources.files:FileSource",
        "hf": "dataset_build.src.sources.hugging_face:HuggingFaceSource",
    },
)
