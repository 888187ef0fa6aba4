"""Who answers, by provider name."""

from dataset_build.src.experts.base import Expert
from dataset_build.src.registry import Registry

providers: Registry[Expert] = Registry(
    "expert",
    {
        "echo": "dataset_build.src.experts.echo:EchoExpert",
        "replay": "dataset_build.src.experts.replay:ReplayExpert",
        "openai_compatible": "dataset_build.src.experts.openai_compatible:OpenAICompatibleExpert",
        "python": "dataset_build.src.experts.python_function:PythonFunctionExpert",
        "litellm": "dataset_build.src.experts.litellm_sdk:LiteLLMExpert",
        "transformers_local": "dataset_build.src.experts.transformers_local:TransformersLocalExpert",
    },
)
