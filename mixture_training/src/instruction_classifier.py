"""A transformer that learns end to end what experts will score and cost, and what an instruction is and asks for."""

import hashlib
import json
import logging
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset_build import ConfigError
from mixture_training.src.ability_head import ability_targets, sigmoid
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.metrics.references import known_means
from mixture_training.src.pretrained import (
    EMBEDDED,
    find_pretrained,
    load_pretrained,
    same_length_batches,
    save_pretrained,
    token_ids,
)
from mixture_training.src.targets import as_scores, category_codes, check_learnable, softmax
from mixture_training.src.training_data import TrainingData

if TYPE_CHECKING:
    from transformers import Trainer

    from mixture_training.src.multi_task import Rows

logger = logging.getLogger(__name__)

#: What a folder of checkpoints belongs to.
_RUN = "run.json"

_OPTIONS = (
    "model", "epochs", "batch_size", "learning_rate", "warmup_ratio", "weight_decay", "patience", "max_tokens", "seed",
)  # fmt: skip


class TransformerClassifier(Classifier):
    """Fine-tuned with the Hugging Face Trainer: masked cross-entropy on scores and abilities, that on categories.

    The loss is that of the scores plus half of that of the categories, half of that of the abilities and a tenth of
    that of the costs (Poisson regression on multiples of the expert's mean), where known.

    Args:
        model: `minilm` (embedded, no download), a hub id, or a folder.
        epochs: Passes over train.
        batch_size: Instructions per step and device.
        learning_rate: Of the encoder (its heads take ten times that); None chooses by the encoder's width.
        warmup_ratio: Share of the steps in which the rate rises.
        weight_decay: Of matrices.
        patience: Epochs without progress on validation after which it stops.
        max_tokens: What of an instruction is read.
        seed: Of heads, order and dropout.
        checkpoints: Folder for a checkpoint per epoch; None keeps them only while it trains. Under torchrun it
            must be given, because the processes share it.
        resume: Go on from the last checkpoint there.
    """

    kind = "transformer"

    def __init__(
        self,
        model: str = EMBEDDED,
        epochs: int = 10,
        batch_size: int = 16,
        learning_rate: float | None = None,
        warmup_ratio: float = 0.1,
        weight_decay: float = 0.01,
        patience: int = 3,
        max_tokens: int = 256,
        seed: int = 0,
        checkpoints: Path | None = None,
        resume: bool = False,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warmup_ratio = warmup_ratio
        self.weight_decay = weight_decay
        self.patience = patience
        self.max_tokens = max_tokens
        self.seed = seed
        self.checkpoints = checkpoints
        self.resume = resume

    def fit(self, train: TrainingData, validation: TrainingData) -> "TransformerClassifier":
        """Train; with validation rows the best epoch on them is kept and training may stop early."""
        check_learnable(train)
        self._tokenizer, encoder = load_pretrained(find_pretrained(self.model))
        from transformers import set_seed

        from mixture_training.src.multi_task import MultiTaskModel

        set_seed(self.seed)
        self.experts_ = train.experts
        self.category_names_, self.ability_names_ = train.category_names, train.ability_names
        rates = np.nanmean(ability_targets(train, self.ability_names_), axis=0) if self.ability_names_ else None
        self._mean_costs = known_means(train.costs)
        has_costs = bool((self._mean_costs > 0).any())
        self._network: MultiTaskModel = MultiTaskModel(
            encoder, train.expert_means(), len(self.category_names_), rates, has_costs=has_costs
        )
        if self.checkpoints is not None:
            self._train(train, validation, self.checkpoints)
        else:
            with tempfile.TemporaryDirectory(prefix="moe-train-") as folder:
                self._train(train, validation, Path(folder))
        self._network.eval()
        return self

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return the heads' probabilities."""
        import torch

        scores = np.zeros((len(texts), self._network.score_head.out_features))
        categories = np.zeros((len(texts), len(self.category_names_)))
        abilities = np.zeros((len(texts), len(self.ability_names_))) if self.ability_names_ else None
        logs = np.zeros_like(scores)
        device = next(self._network.parameters()).device
        ids = token_ids(self._tokenizer, texts, self.max_tokens)
        for rows, batch in same_length_batches(ids, 64):
            inputs = torch.tensor(batch, device=device)
            with torch.inference_mode():
                output = self._network(input_ids=inputs, attention_mask=torch.ones_like(inputs))
            scores[rows] = torch.sigmoid(output["score_logits"].float()).cpu().numpy()
            if self.category_names_:
                categories[rows] = softmax(output["category_logits"].double().cpu().numpy())
            if abilities is not None:
                abilities[rows] = sigmoid(output["ability_logits"].double().cpu().numpy())
            if self._network.cost_head is not None:
                logs[rows] = output["log_costs"].double().cpu().numpy()
        costs = None if self._network.cost_head is None else self._mean_costs * np.exp(logs)
        return Prediction(as_scores(scores), categories, abilities, costs)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the tokenizer, the encoder (safetensors) and the heads (npz)."""
        network = self._network
        heads = {"score_weight": network.score_head.weight, "score_bias": network.score_head.bias}
        if network.category_head is not None:
            heads |= {"category_weight": network.category_head.weight, "category_bias": network.category_head.bias}
        if network.ability_head is not None:
            heads |= {"ability_weight": network.ability_head.weight, "ability_bias": network.ability_head.bias}
        if network.cost_head is not None:
            heads |= {"cost_weight": network.cost_head.weight, "cost_bias": network.cost_head.bias}
        (folder / "encoder").mkdir()
        save_pretrained(self._tokenizer, network.encoder, folder / "encoder")
        np.savez(folder / "heads.npz", **{name: value.detach().cpu().numpy() for name, value in heads.items()})
        return {
            "options": {name: getattr(self, name) for name in _OPTIONS},
            "category_names": list(self.category_names_),
            "ability_names": list(self.ability_names_),
            "mean_costs": [None if np.isnan(cost) else float(cost) for cost in self._mean_costs],
            "epochs_trained": self._epochs_trained,
        }

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "TransformerClassifier":
        """Return the classifier that `save` wrote; on a GPU where there is one."""
        tokenizer, encoder = load_pretrained(str(folder / "encoder"))
        import torch

        from mixture_training.src.multi_task import MultiTaskModel

        classifier = cls(**state["options"])
        classifier.category_names_ = tuple(state["category_names"])
        classifier.ability_names_ = tuple(state.get("ability_names", ()))
        classifier._epochs_trained = state["epochs_trained"]
        classifier._tokenizer = tokenizer
        with np.load(folder / "heads.npz", allow_pickle=False) as arrays:
            experts = len(arrays["score_bias"])
            told = state.get("mean_costs") or [None] * experts  # a router of before has none
            classifier._mean_costs = np.array([np.nan if cost is None else cost for cost in told], dtype=np.float64)
            means, rates = (np.full(size, 0.5) for size in (experts, len(classifier.ability_names_)))
            network = MultiTaskModel(
                encoder, means, len(classifier.category_names_), rates, has_costs="cost_bias" in arrays.files
            )
            heads = {
                "score": network.score_head,
                "category": network.category_head,
                "ability": network.ability_head,
                "cost": network.cost_head,
            }
            for name, head in heads.items():
                if head is not None:
                    weight, bias = (torch.tensor(arrays[f"{name}_{part}"]) for part in ("weight", "bias"))
                    head.load_state_dict({"weight": weight, "bias": bias})
        classifier._network = network.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        return classifier

    def diagnostics(self) -> dict[str, Any]:
        """Return the pretrained model and how many epochs it was trained for."""
        return {"model": self.model, "epochs_trained": self._epochs_trained}

    def _train(self, train: TrainingData, validation: TrainingData, folder: Path) -> None:
        trainer = self._trainer(self._rows(train), self._rows(validation) if len(validation) else None, folder)
        checkpoint = None
        if self.resume:
            from transformers.trainer_utils import get_last_checkpoint

            checkpoint = get_last_checkpoint(str(folder)) if folder.is_dir() else None
            if checkpoint is None:
                raise ConfigError(f"Nothing to resume: {folder} holds no checkpoint. Leave --resume out.")
            self._check_same_run(train, folder / _RUN)
            logger.info("resuming from %s", checkpoint)
        elif trainer.is_world_process_zero():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _RUN).write_text(json.dumps(self._run(train), indent=2), encoding="ascii")
        trainer.train(resume_from_checkpoint=checkpoint)
        self._epochs_trained = round(float(trainer.state.epoch or 0), 2)

    def _run(self, train: TrainingData) -> dict[str, Any]:
        """Return what must be the same for a checkpoint to be gone on from."""
        texts = hashlib.sha256("\0".join(train.texts).encode("utf-8", "surrogatepass")).hexdigest()
        options = {name: getattr(self, name) for name in ("model", "batch_size", "max_tokens", "seed")}
        run = {**options, "experts": list(train.experts), "categories": list(train.category_names), "train": texts}
        if train.ability_names:  # what was begun before there were abilities can be gone on from
            run["abilities"] = list(train.ability_names)
        return run

    def _check_same_run(self, train: TrainingData, file: Path) -> None:
        """Raise unless the checkpoints beside `file` are of a training on the same rows with the same options."""
        try:
            begun = json.loads(file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            begun = {}
        changed = [name for name, value in self._run(train).items() if begun.get(name) != value]
        if changed:
            raise ConfigError(
                f"The checkpoints in {file.parent} are of another training ({', '.join(changed)} differ). "
                "Give the options and the dataset it began with, or leave --resume out."
            )

    def _rows(self, data: TrainingData) -> "Rows":
        from mixture_training.src.multi_task import Rows

        ids = token_ids(self._tokenizer, data.texts, self.max_tokens)
        codes = category_codes(data, self.category_names_).tolist()
        with np.errstate(invalid="ignore", divide="ignore"):
            costs = np.where(self._mean_costs > 0, data.costs / self._mean_costs, np.nan)
        return Rows(ids, data.scores, codes, ability_targets(data, self.ability_names_), costs)

    def _trainer(self, train: "Rows", validation: "Rows | None", folder: Path) -> "Trainer":
        import torch
        from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainingArguments

        from mixture_training.src.multi_task import Collator

        on_gpu = torch.cuda.is_available()
        bf16 = on_gpu and torch.cuda.is_bf16_supported()
        world = int(os.environ.get("WORLD_SIZE", "1"))
        steps = math.ceil(len(train) / (self.batch_size * world)) * self.epochs
        judged = validation is not None
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=self.epochs,
            per_device_train_batch_size=self.batch_size,
            per_device_eval_batch_size=self.batch_size * 4,
            learning_rate=self._rate(),
            warmup_steps=round(steps * self.warmup_ratio),
            weight_decay=self.weight_decay,
            bf16=bf16,
            fp16=on_gpu and not bf16,
            use_cpu=not on_gpu,
            dataloader_pin_memory=on_gpu,
            eval_strategy="epoch" if judged else "no",
            save_strategy="epoch",
            save_total_limit=2,
            load_best_model_at_end=judged,
            metric_for_best_model="eval_loss" if judged else None,
            greater_is_better=False if judged else None,
            prediction_loss_only=True,
            label_names=["scores", "categories", "abilities", "costs"],
            remove_unused_columns=False,
            logging_strategy="epoch",
            report_to="none",
            seed=self.seed,
            disable_tqdm=not logger.isEnabledFor(logging.INFO),
        )
        trainer = Trainer(
            model=self._network,
            args=arguments,
            train_dataset=train,
            eval_dataset=validation,
            data_collator=Collator(int(self._tokenizer.pad_token_id or 0)),
            optimizers=(torch.optim.AdamW(self._network.parameter_groups(self._rate(), self.weight_decay)), None),
            callbacks=[EarlyStoppingCallback(self.patience)] if judged else [],
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _rate(self) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        width = int(self._network.encoder.config.hidden_size)
        return 1e-4 if width <= 384 else 3e-5 if width <= 768 else 1e-5
