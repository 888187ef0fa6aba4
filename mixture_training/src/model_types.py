"""From `--model_type` and its options to a classifier that has learned nothing yet."""

from pathlib import Path
from typing import Any

from dataset_build import ConfigError, nearest
from mixture_training.src.classifier import Classifier, classifiers
from mixture_training.src.config import TrainConfig
from mixture_training.src.encoders.factory import make_encoder
from mixture_training.src.pretrained import EMBEDDED, KNOWN_IDS, find_pretrained, is_pretrained_name
from mixture_training.src.stacking import Candidate

TRANSFORMER, LLM = "transformer", "llm"
#: Model types that put others together.
COMBINED = ("auto", "ensemble")


def parse_model_type(text: str) -> tuple[str, str | None]:
    """Return (registered name, pretrained model or None) for what a user typed.

    Raises:
        ConfigError: it is no registered classifier, known model, folder or `org/name`; names the nearest.
    """
    if text in classifiers:
        return text, EMBEDDED if text == TRANSFORMER else None
    if is_pretrained_name(text):
        return TRANSFORMER, text
    known = [*classifiers, EMBEDDED, *KNOWN_IDS]
    raise ConfigError(
        f"Unknown model type {text!r}.{nearest(text, known)} Known: {', '.join([*classifiers, EMBEDDED])}, "
        "a Hugging Face id such as roberta-large or org/name, or a folder."
    )


def make_classifier(config: TrainConfig, *, checkpoints: Path | None = None) -> Classifier:
    """Return the classifier a configuration asks for.

    Args:
        config: Which, and its options.
        checkpoints: Where a transformer keeps a checkpoint per epoch.

    Raises:
        ConfigError: an unknown name, a pretrained model that cannot be had, or an option that the model type lacks.
    """
    kind, model = parse_model_type(config.model_type)
    _check_options(config, kind)
    options: dict[str, Any] = {"seed": config.seed}
    if config.encoder is not None:
        options["encoder"] = config.encoder
    if config.members is not None:
        options["members"] = config.members
    if config.early_stopping_patience is not None and kind in (TRANSFORMER, "xgboost"):
        options["patience"] = config.early_stopping_patience
    if kind == "auto":
        options["time_budget_s"] = config.time_budget_s
    if kind == LLM:
        options["llm"] = config.llm
    if kind == TRANSFORMER and model is not None:
        find_pretrained(model)
        options |= {
            "model": model,
            "epochs": config.epochs,
            "batch_size": config.batch_size,
            "learning_rate": config.learning_rate,
            "warmup_ratio": config.warmup_ratio,
            "weight_decay": config.weight_decay,
            "checkpoints": checkpoints,
            "resume": config.resume,
        }
    return classifiers[kind](**options)


def _check_options(config: TrainConfig, kind: str) -> None:
    """Raise where an option belongs to another model type, or names what does not exist."""
    if config.llm is not None and kind != LLM:
        raise ConfigError(f"--llm belongs to --model_type {LLM}; {config.model_type!r} was given.")
    if config.resume and kind != TRANSFORMER:
        raise ConfigError(f"--resume goes on from a transformer's checkpoint; {config.model_type!r} has none.")
    if config.encoder is not None:
        if kind == TRANSFORMER:
            raise ConfigError(f"A transformer is its own encoder: give {config.encoder!r} as --model_type.")
        make_encoder(config.encoder)
    if config.members is not None and kind not in COMBINED:
        raise ConfigError(f"--members belongs to --model_type {' or '.join(COMBINED)}; {kind!r} was given.")
    for member in config.members or ():
        make_encoder(Candidate.parse(member).encoder)
