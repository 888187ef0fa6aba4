import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataset_build import ConfigError, EarlyStopError, read_table, write_table
from mixture_training.src.artifacts import Router, to_frame
from mixture_training.src.config import TrainConfig
from mixture_training.src.model_types import parse_model_type
from mixture_training.src.training import build_parser, main, train_router
from tests.mixture_training.synthetic import joined, make_data

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    data = joined(make_data(80, seed=1), make_data(40, split="validation", seed=2), make_data(20, split="test", seed=3))
    path = tmp_path_factory.mktemp("data") / "easy.parquet"
    write_table(to_frame(data), path)
    return path


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_documented_command_parses():
    args = build_parser().parse_args(["--epochs", "10", "--batch_size", "16", "--model_type", "roberta-large"])
    assert (args.epochs, args.batch_size, args.model_type) == (10, 16, "roberta-large")
    assert build_parser().parse_args(["--batch-size=4", "--overwrite"]).overwrite is True


def test_it_trains_and_says_how_good_it_is(dataset, tmp_path, capsys):
    code, out, _ = run(capsys, "--dataset", dataset, "--output", tmp_path / "r", "--encoder", "tfidf")
    assert code == 0
    assert "Better than always asking" in out
    assert f"moe run --router {tmp_path / 'r'}" in out
    router = Router.load(tmp_path / "r")
    assert router.model_type == "auto"
    assert router.options["encoder"] == "tfidf"
    assert router.metrics["vs_best_single"]["low"] > 0.3
    assert json.loads((tmp_path / "r" / "router.json").read_text())["format_version"] == 1


def test_a_router_that_is_no_better_says_so(tmp_path, capsys):
    same = make_data(200, seed=5)
    same.scores[:] = same.scores[:, :1]
    same.scores[:, 0] += 0.0
    write_table(to_frame(same), tmp_path / "same.parquet")
    code, out, _ = run(capsys, "--dataset", tmp_path / "same.parquet", "--output", tmp_path / "r", "--encoder", "tfidf")
    assert code == 0
    assert "Not shown to be better" in out


def test_a_configuration_file_is_beaten_by_flags(dataset, tmp_path, capsys):
    (tmp_path / "t.yaml").write_text(f"dataset: {dataset}\nencoder: minilm\nseed: 3\n")
    code, _, _ = run(capsys, "--config", tmp_path / "t.yaml", "--output", tmp_path / "r", "--encoder", "tfidf")
    assert code == 0
    options = Router.load(tmp_path / "r").options
    assert (options["encoder"], options["seed"]) == ("tfidf", 3)


def test_a_router_knows_only_the_experts_that_were_named(dataset, tmp_path, capsys):
    names = sorted(set(read_table(dataset)["expert"]))
    arguments = ("--dataset", dataset, "--output", tmp_path / "r", "--encoder", "tfidf")
    code, _, _ = run(capsys, *arguments, "--experts", f"{names[1]},{names[0]}")
    assert code == 0
    assert [one.name for one in Router.load(tmp_path / "r").experts] == names[:2] != names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dataset", "absent"], "No such dataset: absent"),
        (["--model_type", "roberta-lrage"], "Did you mean 'roberta-large'"),
        (["--model_type", "xgbost"], "Did you mean 'xgboost'"),
        (["--model_type", "./absent"], "No such model folder"),
        (["--encoder", "minilmm"], "Did you mean 'minilm'"),
        (["--batch_size", "0"], "at least 1"),
        (["--epochs", "ten"], "at least 1"),
        (["--learning_rate", "-1"], "learning_rate"),
        (["--experts", "absent"], "has no expert 'absent'; it has "),
        (["--policy", "qualty"], "Did you mean 'quality'"),
        (["--model_tpye", "linear"], "Did you mean --model_type"),
        (["--model_type", "llm"], "--llm"),
        (["--llm", "echo"], "belongs to --model_type llm"),
        (["--resume"], "--resume goes on"),
        (["--model_type", "minilm", "--encoder", "tfidf"], "its own encoder"),
        (["--columns", "scor=quality"], "Did you mean 'score'"),
        (["--output", "/dev/null/router"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said, dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = arguments if "--dataset" in arguments else ["--dataset", dataset, *arguments]
    code, _, err = run(capsys, *given)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_an_existing_router_is_kept_unless_overwrite(dataset, tmp_path, capsys):
    arguments = ("--dataset", dataset, "--output", tmp_path / "r", "--encoder", "tfidf")
    assert run(capsys, *arguments)[0] == 0
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert "--overwrite" in err
    assert run(capsys, *arguments, "--overwrite")[0] == 0


def test_an_expert_without_rows_in_train_is_refused(tmp_path, capsys):
    data = make_data(40)
    data.scores[:, 2] = float("nan")
    write_table(to_frame(data), tmp_path / "d.parquet")
    code, _, err = run(capsys, "--dataset", tmp_path / "d.parquet", "--output", tmp_path / "r")
    assert code == 2
    assert "'vet' has no scored response" in err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linear", ("linear", None)),
        ("transformer", ("transformer", "minilm")),
        ("minilm", ("transformer", "minilm")),
        ("bert-base-uncased", ("transformer", "bert-base-uncased")),
        ("org/name", ("transformer", "org/name")),
    ],
)
def test_model_types(text, expected):
    assert parse_model_type(text) == expected


@pytest.mark.slow
def test_an_unreachable_hub_is_said_in_seconds(dataset, tmp_path):
    """The hub is a server that accepts connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf")}
        command = [
            sys.executable,
            str(ROOT / "mixture_training/src/training.py"),
            "--epochs",
            "10",
            "--batch_size",
            "16",
        ]
        started = time.monotonic()
        run = subprocess.run(
            [*command, "--model_type", "roberta-large", "--dataset", str(dataset)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1, run.stderr
    assert "'roberta-large'" in run.stderr
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_a_transformer_trains_and_resumes(dataset, tmp_path, tiny_bert_dir, capsys):
    base = ("--dataset", dataset, "--model_type", tiny_bert_dir, "--batch_size", 16, "--learning_rate", 0.003)
    output = tmp_path / "r"
    code, _, err = run(capsys, *base, "--output", output, "--resume")
    assert code == 2
    assert "Nothing to resume" in err
    code, _, _ = run(capsys, *base, "--output", output, "--epochs", 2)
    assert code == 0
    assert Router.load(output).options["diagnostics"]["epochs_trained"] == 2
    assert not output.with_name("r.checkpoints").exists()


@pytest.mark.slow
def test_an_interrupted_transformer_goes_on_from_its_checkpoint(dataset, tmp_path, tiny_bert_dir, monkeypatch):
    from transformers import TrainerCallback

    from mixture_training.src.instruction_classifier import TransformerClassifier

    class Interrupt(TrainerCallback):
        def on_epoch_begin(self, args, state, control, **_):
            if state.epoch and state.epoch >= 1:
                raise KeyboardInterrupt

    original = TransformerClassifier._trainer

    def interrupted(self, *arguments):
        trainer = original(self, *arguments)
        trainer.add_callback(Interrupt)
        return trainer

    config = TrainConfig(
        dataset=str(dataset), output=tmp_path / "r", model_type=str(tiny_bert_dir), epochs=3, learning_rate=0.003
    )
    monkeypatch.setattr(TransformerClassifier, "_trainer", interrupted)
    with pytest.raises(EarlyStopError, match="--resume goes on"):
        train_router(config)
    assert list((tmp_path / "r.checkpoints").glob("checkpoint-*"))
    monkeypatch.setattr(TransformerClassifier, "_trainer", original)
    train_router(config.model_copy(update={"resume": True}))
    resumed = Router.load(tmp_path / "r")
    train_router(config.model_copy(update={"output": tmp_path / "whole"}))
    whole = Router.load(tmp_path / "whole")
    assert resumed.options["diagnostics"] == whole.options["diagnostics"]
    texts = ["apple and pear", "gold"]
    expected = whole.classifier.predict(texts).scores
    assert abs(resumed.classifier.predict(texts).scores - expected).max() < 1e-4


@pytest.mark.slow
def test_an_interrupt_before_the_first_checkpoint_promises_no_resume(dataset, tmp_path, tiny_bert_dir, monkeypatch):
    from transformers import TrainerCallback

    from mixture_training.src.instruction_classifier import TransformerClassifier

    class Interrupt(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            raise KeyboardInterrupt

    original = TransformerClassifier._trainer

    def interrupted(self, *arguments):
        trainer = original(self, *arguments)
        trainer.add_callback(Interrupt)
        return trainer

    monkeypatch.setattr(TransformerClassifier, "_trainer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_router(TrainConfig(dataset=str(dataset), output=tmp_path / "r", model_type=str(tiny_bert_dir), epochs=1))


@pytest.mark.slow
def test_resuming_another_training_is_refused(dataset, tmp_path, tiny_bert_dir):
    from mixture_training.src.instruction_classifier import TransformerClassifier

    rows = make_data(30)
    options = {"model": str(tiny_bert_dir), "epochs": 1, "checkpoints": tmp_path / "c"}
    TransformerClassifier(**options).fit(rows, make_data(10, seed=1))
    for change, data in (({"batch_size": 4}, rows), ({}, make_data(30, seed=2))):
        with pytest.raises(ConfigError, match="of another training"):
            TransformerClassifier(**options, **change, resume=True).fit(data, make_data(10, seed=1))


@pytest.mark.slow
def test_a_text_longer_than_the_model_has_positions_is_cut(tiny_bert_dir):
    from mixture_training.src.encoders.hugging_face import HuggingFaceEncoder
    from mixture_training.src.pretrained import load_pretrained, token_ids

    tokenizer, model = load_pretrained(str(tiny_bert_dir))
    assert len(token_ids(tokenizer, ["?! " * 5_000], 256)[0]) == model.config.max_position_embeddings == 128
    assert HuggingFaceEncoder(str(tiny_bert_dir)).encode(["?! " * 5_000]).shape == (1, 32)


def test_the_same_seed_gives_the_same_bytes(dataset, tmp_path, capsys):
    contents = []
    for name in ("one", "two"):
        options = ("--members", "linear:tfidf,knn:tfidf,kernel:features", "--seed", "3")
        assert run(capsys, "--dataset", dataset, "--output", tmp_path / name / "router", *options)[0] == 0
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert contents[0].keys() == contents[1].keys()
    assert [name for name in contents[0] if contents[0][name] != contents[1][name]] == []
