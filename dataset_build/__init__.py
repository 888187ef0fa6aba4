"""Stage one: ask every expert every instruction, score the answers, write a labelled dataset."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataset_build.src.abilities import abilities_text, parse_abilities
    from dataset_build.src.arguments import Parser, comma_list, parse_columns, positive_int, run_command
    from dataset_build.src.builder import build_dataset
    from dataset_build.src.builder import main as build_main
    from dataset_build.src.calls import ExpertCall, call_expert, pause_s, shown_by
    from dataset_build.src.config import (
        BuildConfig,
        ExpertConfig,
        PriceConfig,
        SourceConfig,
        read_yaml,
        resolve,
        validate,
    )
    from dataset_build.src.data_loader import load_instructions, parse_source
    from dataset_build.src.errors import (
        ConfigError,
        DataError,
        EarlyStopError,
        ExpertCrashedError,
        ExpertError,
        ExpertRefusedError,
        ExpertUnavailableError,
        MissingDependencyError,
        ToolkitError,
    )
    from dataset_build.src.evaluator import Evaluator
    from dataset_build.src.experts.base import BatchExpert, CannotAnswerError, Expert, ToolExpert
    from dataset_build.src.experts.capabilities import Capabilities, Needs, missing
    from dataset_build.src.experts.chat_call import OWN_KEYS, ChatCall, ChatPiece, text_of
    from dataset_build.src.experts.chat_protocol import read_failure
    from dataset_build.src.experts.echo import EchoExpert
    from dataset_build.src.experts.http_connection import HttpConnection, Transport, parsed_address
    from dataset_build.src.experts.request_headers import RequestHeaders
    from dataset_build.src.experts.tools import tools
    from dataset_build.src.hub import call_hub
    from dataset_build.src.hub_dataset import fetch_dataset, push_dataset
    from dataset_build.src.hub_transfer import HubRepository
    from dataset_build.src.imported_rows import ImportSummary
    from dataset_build.src.importers.base import ImportFormat
    from dataset_build.src.importers.input_file import InputFile
    from dataset_build.src.importing import import_dataset
    from dataset_build.src.interchange import read_dataset_json, read_table, write_table
    from dataset_build.src.judging.calibration import JudgedPair, JudgedResponse, JudgedSample, judge_sample, read_judge
    from dataset_build.src.judging.config import JudgeConfig
    from dataset_build.src.labels import Labels, labels_of, matrix_of
    from dataset_build.src.limits import CIRCUIT_OPEN, Endpoint, endpoints_of
    from dataset_build.src.minilm import MiniLM, cache_folder
    from dataset_build.src.model_loader import load_expert, load_experts, parse_expert
    from dataset_build.src.near_duplicates import NearDuplicates
    from dataset_build.src.patience import Patience
    from dataset_build.src.records import CANNOT_ANSWER, COLUMNS, Answer, Instruction, Price, Response, Score, Usage
    from dataset_build.src.registry import Registry, nearest
    from dataset_build.src.scorers.base import Scorer
    from dataset_build.src.sources.base import Source
    from dataset_build.src.tokens import count_tokens
    from dataset_build.src.whole_files import sha256_of, write_atomically
    from dataset_build.src.wording import normal

_HOME = {
    "Answer": "dataset_build.src.records:Answer",
    "BatchExpert": "dataset_build.src.experts.base:BatchExpert",
    "BuildConfig": "dataset_build.src.config:BuildConfig",
    "CANNOT_ANSWER": "dataset_build.src.records:CANNOT_ANSWER",
    "CIRCUIT_OPEN": "dataset_build.src.limits:CIRCUIT_OPEN",
    "COLUMNS": "dataset_build.src.records:COLUMNS",
    "CannotAnswerError": "dataset_build.src.experts.base:CannotAnswerError",
    "Capabilities": "dataset_build.src.experts.capabilities:Capabilities",
    "ChatCall": "dataset_build.src.experts.chat_call:ChatCall",
    "ChatPiece": "dataset_build.src.experts.chat_call:ChatPiece",
    "ConfigError": "dataset_build.src.errors:ConfigError",
    "DataError": "dataset_build.src.errors:DataError",
    "EarlyStopError": "dataset_build.src.errors:EarlyStopError",
    "EchoExpert": "dataset_build.src.experts.echo:EchoExpert",
    "Endpoint": "dataset_build.src.limits:Endpoint",
    "Evaluator": "dataset_build.src.evaluator:Evaluator",
    "Expert": "dataset_build.src.experts.base:Expert",
    "ExpertCall": "dataset_build.src.calls:ExpertCall",
    "ExpertConfig": "dataset_build.src.config:ExpertConfig",
    "ExpertCrashedError": "dataset_build.src.errors:ExpertCrashedError",
    "ExpertError": "dataset_build.src.errors:ExpertError",
    "ExpertRefusedError": "dataset_build.src.errors:ExpertRefusedError",
    "ExpertUnavailableError": "dataset_build.src.errors:ExpertUnavailableError",
    "HttpConnection": "dataset_build.src.experts.http_connection:HttpConnection",
    "HubRepository": "dataset_build.src.hub_transfer:HubRepository",
    "ImportFormat": "dataset_build.src.importers.base:ImportFormat",
    "ImportSummary": "dataset_build.src.imported_rows:ImportSummary",
    "InputFile": "dataset_build.src.importers.input_file:InputFile",
    "Instruction": "dataset_build.src.records:Instruction",
    "JudgeConfig": "dataset_build.src.judging.config:JudgeConfig",
    "JudgedPair": "dataset_build.src.judging.calibration:JudgedPair",
    "JudgedResponse": "dataset_build.src.judging.calibration:JudgedResponse",
    "JudgedSample": "dataset_build.src.judging.calibration:JudgedSample",
    "Labels": "dataset_build.src.labels:Labels",
    "MiniLM": "dataset_build.src.minilm:MiniLM",
    "MissingDependencyError": "dataset_build.src.errors:MissingDependencyError",
    "NearDuplicates": "dataset_build.src.near_duplicates:NearDuplicates",
    "Needs": "dataset_build.src.experts.capabilities:Needs",
    "OWN_KEYS": "dataset_build.src.experts.chat_call:OWN_KEYS",
    "Parser": "dataset_build.src.arguments:Parser",
    "Patience": "dataset_build.src.patience:Patience",
    "Price": "dataset_build.src.records:Price",
    "PriceConfig": "dataset_build.src.config:PriceConfig",
    "Registry": "dataset_build.src.registry:Registry",
    "RequestHeaders": "dataset_build.src.experts.request_headers:RequestHeaders",
    "Response": "dataset_build.src.records:Response",
    "Score": "dataset_build.src.records:Score",
    "Scorer": "dataset_build.src.scorers.base:Scorer",
    "Source": "dataset_build.src.sources.base:Source",
    "SourceConfig": "dataset_build.src.config:SourceConfig",
    "ToolExpert": "dataset_build.src.experts.base:ToolExpert",
    "ToolkitError": "dataset_build.src.errors:ToolkitError",
    "Transport": "dataset_build.src.experts.http_connection:Transport",
    "Usage": "dataset_build.src.records:Usage",
    "abilities_text": "dataset_build.src.abilities:abilities_text",
    "build_dataset": "dataset_build.src.builder:build_dataset",
    "build_main": "dataset_build.src.builder:main",
    "cache_folder": "dataset_build.src.minilm:cache_folder",
    "call_expert": "dataset_build.src.calls:call_expert",
    "call_hub": "dataset_build.src.hub:call_hub",
    "comma_list": "dataset_build.src.arguments:comma_list",
    "count_tokens": "dataset_build.src.tokens:count_tokens",
    "endpoints_of": "dataset_build.src.limits:endpoints_of",
    "fetch_dataset": "dataset_build.src.hub_dataset:fetch_dataset",
    "import_dataset": "dataset_build.src.importing:import_dataset",
    "judge_sample": "dataset_build.src.judging.calibration:judge_sample",
    "labels_of": "dataset_build.src.labels:labels_of",
    "load_expert": "dataset_build.src.model_loader:load_expert",
    "load_experts": "dataset_build.src.model_loader:load_experts",
    "load_instructions": "dataset_build.src.data_loader:load_instructions",
    "matrix_of": "dataset_build.src.labels:matrix_of",
    "missing": "dataset_build.src.experts.capabilities:missing",
    "nearest": "dataset_build.src.registry:nearest",
    "normal": "dataset_build.src.wording:normal",
    "parse_abilities": "dataset_build.src.abilities:parse_abilities",
    "parse_columns": "dataset_build.src.arguments:parse_columns",
    "parse_expert": "dataset_build.src.model_loader:parse_expert",
    "parse_source": "dataset_build.src.data_loader:parse_source",
    "parsed_address": "dataset_build.src.experts.http_connection:parsed_address",
    "pause_s": "dataset_build.src.calls:pause_s",
    "positive_int": "dataset_build.src.arguments:positive_int",
    "push_dataset": "dataset_build.src.hub_dataset:push_dataset",
    "read_dataset_json": "dataset_build.src.interchange:read_dataset_json",
    "read_failure": "dataset_build.src.experts.chat_protocol:read_failure",
    "read_judge": "dataset_build.src.judging.calibration:read_judge",
    "read_table": "dataset_build.src.interchange:read_table",
    "read_yaml": "dataset_build.src.config:read_yaml",
    "resolve": "dataset_build.src.config:resolve",
    "run_command": "dataset_build.src.arguments:run_command",
    "sha256_of": "dataset_build.src.whole_files:sha256_of",
    "shown_by": "dataset_build.src.calls:shown_by",
    "text_of": "dataset_build.src.experts.chat_call:text_of",
    "tools": "dataset_build.src.experts.tools:tools",
    "validate": "dataset_build.src.config:validate",
    "write_atomically": "dataset_build.src.whole_files:write_atomically",
    "write_table": "dataset_build.src.interchange:write_table",
}

__all__ = [
    "Answer",
    "BatchExpert",
    "BuildConfig",
    "CANNOT_ANSWER",
    "CIRCUIT_OPEN",
    "COLUMNS",
    "CannotAnswerError",
    "Capabilities",
    "ChatCall",
    "ChatPiece",
    "ConfigError",
    "DataError",
    "EarlyStopError",
    "EchoExpert",
    "Endpoint",
    "Evaluator",
    "Expert",
    "ExpertCall",
    "ExpertConfig",
    "ExpertCrashedError",
    "ExpertError",
    "ExpertRefusedError",
    "ExpertUnavailableError",
    "HttpConnection",
    "HubRepository",
    "ImportFormat",
    "ImportSummary",
    "InputFile",
    "Instruction",
    "JudgeConfig",
    "JudgedPair",
    "JudgedResponse",
    "JudgedSample",
    "Labels",
    "MiniLM",
    "MissingDependencyError",
    "NearDuplicates",
    "Needs",
    "OWN_KEYS",
    "Parser",
    "Patience",
    "Price",
    "PriceConfig",
    "Registry",
    "RequestHeaders",
    "Response",
    "Score",
    "Scorer",
    "Source",
    "SourceConfig",
    "ToolExpert",
    "ToolkitError",
    "Transport",
    "Usage",
    "abilities_text",
    "build_dataset",
    "build_main",
    "cache_folder",
    "call_expert",
    "call_hub",
    "comma_list",
    "count_tokens",
    "endpoints_of",
    "fetch_dataset",
    "import_dataset",
    "judge_sample",
    "labels_of",
    "load_expert",
    "load_experts",
    "load_instructions",
    "matrix_of",
    "missing",
    "nearest",
    "normal",
    "parse_abilities",
    "parse_columns",
    "parse_expert",
    "parse_source",
    "parsed_address",
    "pause_s",
    "positive_int",
    "push_dataset",
    "read_dataset_json",
    "read_failure",
    "read_judge",
    "read_table",
    "read_yaml",
    "resolve",
    "run_command",
    "sha256_of",
    "shown_by",
    "text_of",
    "tools",
    "validate",
    "write_atomically",
    "write_table",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name the first time it is used."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module, _, attribute = _HOME[name].partition(":")
        value = globals()[name] = getattr(import_module(module), attribute)
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
