"""What the field has published, read as interchange form."""

from dataset_build.src.importers.base import ImportFormat
from dataset_build.src.registry import Registry

import_formats: Registry[ImportFormat] = Registry(
    "import format",
    {
        "alpaca_eval": "dataset_build.src.importers.alpaca_eval:AlpacaEval",
        "interchange": "dataset_build.src.importers.interchange_rows:InterchangeRows",
        "llmrouter": "dataset_build.src.importers.llmrouter:LLMRouter",
        "llmrouterbench": "dataset_build.src.importers.llmrouterbench:LLMRouterBench",
        "lm_eval": "dataset_build.src.importers.lm_eval:LMEvalSamples",
        "mt_bench": "dataset_build.src.importers.mt_bench:MTBench",
        "routellm": "dataset_build.src.importers.routellm:RouteLLM",
        "routerbench": "dataset_build.src.importers.routerbench:RouterBench",
    },
)
