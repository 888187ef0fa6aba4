"""What a training run was asked to do: flags over a YAML file over defaults, checked before anything runs."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class TrainConfig(BaseModel):
    """Everything that decides what a training run does.

    Attributes:
        dataset: A built folder, a file in interchange form, or `hf:org/name`.
        output: The router folder.
        experts: Of the dataset, to route to; None is all.
        model_type: A registered classifier, or a pretrained transformer (`minilm`, a hub id, a folder).
        encoder: Where the classifier learns from an encoder's vectors: which one; None is the classifier's own choice.
        members: What `auto` tries and `ensemble` stacks, each `classifier:encoder`; None is their own choice.
        time_budget_s: About the seconds `auto` may take to cross-validate.
        guard: Route to the best single expert where the router is not shown to be better.
        llm: The routing language model of model type `llm`.
        epochs: Of a transformer.
        batch_size: Of a transformer, per device.
        learning_rate: Of a transformer; None chooses by its size.
        warmup_ratio: Share of the steps in which a transformer's rate rises.
        weight_decay: Of a transformer.
        early_stopping_patience: Epochs (transformer) or trees (xgboost) without progress on validation; None is the
            classifier's own choice.
        resume: Go on from a transformer's last checkpoint.
        policy: The router's default trade-off.
        columns: Canonical column name to its name in the dataset.
        overwrite: Whether a router at `output` may be replaced.
        seed: Of everything random.
    """

    model_config = ConfigDict(extra="forbid", validate_default=True, protected_namespaces=())

    dataset: str = "runs/dataset"
    output: Path = Path("runs/router")
    experts: Annotated[list[str], Field(min_length=1)] | None = None
    model_type: str = "auto"
    encoder: str | None = None
    members: list[str] | None = None
    time_budget_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    guard: bool = True
    llm: str | None = None
    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 16
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    early_stopping_patience: Annotated[int, Field(ge=1)] | None = None
    resume: bool = False
    policy: str = "quality"
    columns: dict[str, str] = {}
    overwrite: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
