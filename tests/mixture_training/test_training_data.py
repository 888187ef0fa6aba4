"""Datasets become arrays with honest gaps and sound splits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataset_build import ConfigError, DataError, write_table
from mixture_training.src.training_data import from_frame, load_training_data, make_splits


def frame(instructions: int = 60, **changes: object) -> pd.DataFrame:
    rows = [
        {
            "instruction_id": str(n),
            "instruction": f"question {n}",
            "expert": expert,
            "score": float(n % 2 == (expert == "b")),
            "cost": 0.5,
            "category": "odd" if n % 2 else None,
            "split": None,
            "latency_s": None,
        }
        for n in range(instructions)
        for expert in ("b", "a")
    ]
    return pd.DataFrame(rows).assign(**changes)


def test_missing_rows_and_missing_scores_are_nan_not_zero():
    table = frame(3)
    table.loc[0, "score"] = None
    data = from_frame(table.drop(index=3))
    assert data.experts == ("a", "b")
    assert np.isnan(data.scores[0, 1])
    assert np.isnan(data.scores[1, 0])
    assert np.isnan(data.costs[1, 0])
    assert data.expert_means()[0] == 1.0
    assert data.category_names == ("odd",)
    assert data.categories == (None, "odd", None)


def test_rows_can_be_taken_by_mask_and_by_index():
    data = from_frame(frame(4))
    assert data.take([2, 0]).ids == ("2", "0")
    assert data.take(np.array([True, False, False, True])).ids == ("0", "3")
    assert len(data.take([])) == 0


def test_made_splits_keep_duplicates_together_and_given_ones_alone():
    data = from_frame(frame(400, instruction=[f"question {n // 8}" for n in range(800)]))
    splits = make_splits(data, seed=1)
    assert set(splits) == {"train", "validation", "test"}
    by_text: dict[str, set[str]] = {}
    for text, split in zip(data.texts, splits, strict=True):
        by_text.setdefault(text, set()).add(split)
    assert all(len(found) == 1 for found in by_text.values())
    assert make_splits(data, seed=1) == splits != make_splits(data, seed=2)
    given = from_frame(frame(40, split=["test"] * 10 + ["validation"] * 10 + ["train"] * 60))
    assert make_splits(given) == given.splits


def test_a_dataset_with_too_little_to_learn_from_is_refused(tmp_path: Path):
    write_table(frame(8), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="at least 10 are needed"):
        load_training_data(tmp_path / "rows.parquet")


def test_an_expert_without_any_score_is_named(tmp_path: Path):
    table = frame(60)
    table.loc[table["expert"] == "a", "score"] = None
    write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="expert 'a' has no scored response"):
        load_training_data(tmp_path / "rows.parquet")


def test_an_expert_that_the_dataset_lists_but_has_no_rows_is_named(tmp_path: Path):
    write_table(frame(60), tmp_path / "data" / "train.parquet")
    (tmp_path / "dataset.json").write_text('{"format_version": 1, "experts": [{"name": "a"}, {"name": "gone"}]}')
    with pytest.raises(DataError, match="expert 'gone' has no scored response"):
        load_training_data(tmp_path)


def test_an_expert_without_any_score_can_be_left_out(tmp_path: Path):
    table = frame(60)
    table.loc[table["expert"] == "a", "score"] = None
    write_table(table, tmp_path / "data" / "train.parquet")
    (tmp_path / "dataset.json").write_text(
        '{"format_version": 1, "experts": [{"name": "a"}, {"name": "b", "description": "B."}, {"name": "gone"}]}'
    )
    with pytest.raises(DataError, match="or name the others with --experts"):
        load_training_data(tmp_path)
    data = load_training_data(tmp_path, experts=["b"])
    assert (data.experts, data.descriptions, len(data)) == (("b",), ("B.",), 60)
    with pytest.raises(ConfigError, match="has no expert 'c'; it has a, b, gone"):
        load_training_data(tmp_path, experts=["b", "c"])


def test_descriptions_come_from_the_dataset_folder(tmp_path: Path):
    write_table(frame(60), tmp_path / "data" / "train.parquet")
    (tmp_path / "dataset.json").write_text('{"format_version": 1, "experts": [{"name": "a", "description": "adds"}]}')
    assert load_training_data(tmp_path).descriptions == ("adds", "")


RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers (../shared/data) are not on this machine")
@pytest.mark.parametrize(
    ("name", "shape"), [("llmdrift4", (1550, 4)), ("routellm_gsm8k", (1319, 2)), ("zeroeval12", (4279, 12))]
)
def test_recorded_datasets_load_as_they_are(name: str, shape: tuple[int, int]):
    data = load_training_data(RECORDED / f"{name}.parquet")
    assert data.scores.shape == shape
    assert not np.isnan(data.scores).any()
    assert set(data.splits) == {"train", "validation", "test"}
