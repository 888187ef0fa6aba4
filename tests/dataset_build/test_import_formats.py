"""Every import format: an example as its project writes it, what becomes of it, and that no other format claims it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_build import ImportSummary, InputFile, import_dataset, read_table
from dataset_build.src.importers import import_formats
from dataset_build.src.importers.base import ImportFormat
from dataset_build.src.records import instruction_id

ROUTERBENCH = {
    "sample_id": ["zoo.1", "zoo.2"],
    "prompt": ["['How many legs has a spider?']", "['Name a bird.', 'And another one?']"],
    "eval_name": ["zoo", "talk"],
    "big": [1.0, 0.75],
    "small": [0.0, None],
    "big|model_response": ["['Eight.']", "['Owl.', 'Kiwi.']"],
    "small|model_response": ["['Six.']", None],
    "big|total_cost": [0.002, 0.004],
    "small|total_cost": [0.0001, None],
    "oracle_model_to_route_to": ["big", "big"],
}
JUDGED_FIRST = (
    "[Instruction]\nPlease act as a judge.\n\n[Question]\nWrite a line about {topic}.\n\n"
    "[The Start of Assistant's Answer]\n{answer}\n[The End of Assistant's Answer]"
)
JUDGED_SECOND = (
    "<|The Start of Assistant A's Conversation with User|>\n\n### User:\nWrite a line about {topic}.\n\n"
    "### Assistant A:\n{answer}\n\n### User:\nShorter.\n\n### Assistant A:\nSea.\n\n"
    "<|The End of Assistant A's Conversation with User|>"
)


def judgement(question: int, model: str, turn: int, score: float, answer: str = "The sea is wide.") -> dict[str, Any]:
    prompt = (JUDGED_FIRST if turn == 1 else JUDGED_SECOND).format(topic=f"the sea ({question})", answer=answer)
    return {
        "question_id": question, "model": model, "judge": ["judge-1", "single-v1"], "user_prompt": prompt,
        "judgment": f"Rating: [[{score}]]", "score": score, "turn": turn, "tstamp": 1.5,
    }  # fmt: skip


def run_of(records: list[dict[str, Any]], **changes: object) -> dict[str, Any]:
    run = {
        "performance": 0.5, "time_taken": 2.0, "prompt_tokens": 9, "completion_tokens": 9, "cost": 0.1,
        "counts": len(records), "model_name": "big", "dataset_name": "zoo", "split": "test", "demo": False,
        "extra_metrics": {}, "data_fingerprint": "",
    }  # fmt: skip
    return {**run, **changes, "records": records}


def record(index: int, **changes: object) -> dict[str, Any]:
    return {
        "index": index, "origin_query": f"q{index}", "prompt": f"Question {index}", "prompt_tokens": 5,
        "completion_tokens": 3, "cost": 0.001, "score": 1.0, "prediction": "8", "ground_truth": "8",
        "raw_output": "It is 8.", "extra_fields": {}, **changes,
    }  # fmt: skip


def routing(model: str, **changes: object) -> dict[str, Any]:
    return {
        "task_name": "zoo", "query": "How many legs?", "ground_truth": "B", "metric": "em_mc",
        "choices": '{"text": ["six", "eight"], "labels": ["A", "B"]}', "task_id": None, "model_name": model,
        "response": "B", "token_num": 12, "input_tokens": 10, "output_tokens": 2, "response_time": 0.5,
        "api_key_used": "", "performance": 1.0, "embedding_id": 4, "user_id": None, "fig_id": None, **changes,
    }  # fmt: skip


def annotation(preference: float | None, **changes: object) -> dict[str, Any]:
    return {
        "dataset": "pets", "instruction": "Praise cats.", "output_1": "Cats!", "generator_1": "base",
        "output_2": "Cats are fine.", "generator_2": "mine", "annotator": "judge", "preference": preference, **changes,
    }  # fmt: skip


def sample(doc_id: int, doc: dict[str, Any], **changes: object) -> dict[str, Any]:
    return {
        "doc_id": doc_id, "doc": doc, "target": "8", "resps": [["The answer is 8."]], "filtered_resps": ["8"],
        "arguments": {"gen_args_0": {"arg_0": f"<shots> {doc_id} </shots>", "arg_1": {"until": ["\n"]}}},
        "filter": "strict-match", "metrics": ["exact_match"], "doc_hash": f"hash{doc_id}", "prompt_hash": "p",
        "target_hash": "t", "exact_match": 1.0, **changes,
    }  # fmt: skip


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        assert isinstance(content, list)
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    elif path.suffix == ".json":
        path.write_text(json.dumps(content, indent=1))
    elif path.suffix == ".csv":
        pd.DataFrame(content).to_csv(path, index=False)
    else:
        pd.DataFrame(content).to_parquet(path)
    return path


EXAMPLES: dict[str, tuple[str, object]] = {
    "alpaca_eval": ("annotations.json", [annotation(2.0)]),
    "interchange": ("rows.csv", {"instruction": ["a"], "expert": ["x"], "score": [1]}),
    "llmrouter": ("default_routing_train_data.jsonl", [routing("big")]),
    "llmrouterbench": ("zoo-test-big-20250101_000000.json", run_of([record(1)])),
    "lm_eval": ("samples_zoo_2025-01-01T00-00-00.000001.jsonl", [sample(0, {"question": "How many?"})]),
    "mt_bench": ("judgements.jsonl", [judgement(81, "big", 1, 10)]),
    "routellm": ("mmlu_zoo.csv", {"prompt": ["a\nAnswer:"], "m/weak": [False], "strong": [True]}),
    "routerbench": ("routerbench.csv", ROUTERBENCH),
}


def imported(tmp_path: Path, *files: Path, **options: Any) -> tuple[pd.DataFrame, ImportSummary]:
    summary = import_dataset(files, output=tmp_path / "out" / "rows.parquet", **options)
    return read_table(summary.output), summary


def cells(frame: pd.DataFrame, *names: str) -> list[tuple[object, ...]]:
    return [
        tuple(None if pd.isna(value) else value for value in row) for row in frame[list(names)].itertuples(index=False)
    ]


def test_every_registered_format_has_an_example():
    assert set(EXAMPLES) == set(import_formats)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_is_recognised_by_its_own_format_and_by_no_other(name: str, tmp_path: Path):
    file = InputFile(write(tmp_path / EXAMPLES[name][0], EXAMPLES[name][1]))
    assert [other for other in import_formats if import_formats[other]().detects(file)] == [name]


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_format_says_what_it_is_and_reads_its_example(name: str, tmp_path: Path):
    reader: ImportFormat = import_formats[name]()
    assert reader.description
    file = InputFile(write(tmp_path / EXAMPLES[name][0], EXAMPLES[name][1]))
    assert set(file.columns) & set(reader.keys)
    rows = list(reader.rows(file))
    assert rows
    assert all(row["instruction"] and row["expert"] for row in rows)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_routerbench_becomes_a_row_per_prompt_and_model(ending: str, tmp_path: Path):
    frame, summary = imported(tmp_path, write(tmp_path / f"rb.{ending}", ROUTERBENCH))
    assert cells(frame, "instruction", "category", "expert", "response", "score", "cost", "sample_id") == [
        ("How many legs has a spider?", "zoo", "big", "Eight.", 1.0, 0.002, "zoo.1"),
        ("How many legs has a spider?", "zoo", "small", "Six.", 0.0, 0.0001, "zoo.1"),
        ("Name a bird.\n\nAnd another one?", "talk", "big", "Owl.\n\nKiwi.", 0.75, 0.004, "zoo.2"),
        ("Name a bird.\n\nAnd another one?", "talk", "small", None, None, None, "zoo.2"),
    ]
    assert (summary.null_scores, summary.null_costs) == (1, 1)


def test_routerbench_columns_of_routers_and_of_the_oracle_are_no_models(tmp_path: Path):
    wide = {
        **ROUTERBENCH,
        "oracle": [1, 1],
        "oracle|total_cost": [0, 0],
        "knn|k:5": [1, 1],
        "knn|k:5|total_cost": [0, 0],
    }
    assert set(imported(tmp_path, write(tmp_path / "rb.csv", wide))[1].experts) == {"big", "small"}


def test_routerbench_text_that_only_looks_like_a_list_stays_as_it_is(tmp_path: Path):
    wide = {**ROUTERBENCH, "prompt": ["[sic] (see [1]", "[1, 2]"], "big|model_response": ["[oops]", "[]"]}
    frame, _ = imported(tmp_path, write(tmp_path / "rb.csv", wide))
    assert list(frame["instruction"].unique()) == ["[sic] (see [1]", "[1, 2]"]
    assert cells(frame[frame["expert"] == "big"], "response") == [("[oops]",), ("[]",)]


NAMES = st.lists(st.sampled_from(["m-1", "org/m.2", "ü", "model three", "m,4"]), min_size=1, max_size=4, unique=True)


@pytest.mark.parametrize("kind", ["routerbench", "routellm"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(data=st.data(), names=NAMES, rows=st.integers(1, 6))
def test_any_wide_table_keeps_its_scores_and_every_model_s_mean(
    kind: str, data: st.DataObject, names: list[str], rows: int, tmp_path: Path
):
    score = st.floats(0, 1) if kind == "routerbench" else st.booleans()
    table: dict[str, list[Any]] = {"prompt": [f"prompt {row}" for row in range(rows)]}
    for name in names:
        table[name] = data.draw(st.lists(st.none() | score, min_size=rows, max_size=rows))
        if kind == "routerbench":
            table[name + "|total_cost"] = [0.5] * rows
        else:
            table[name + "_response"] = ["yes"] * rows
    options = {"format": kind, "overwrite": True}
    frame, summary = imported(tmp_path, write(tmp_path / "wide.csv", table), **options)
    assert summary.rows_written == len(frame) == rows * len(names)
    for name in names:
        before = [float(value) for value in table[name] if value is not None]
        after = [value for value in frame["score"][frame["expert"] == name] if not pd.isna(value)]
        assert after == before
        assert summary.experts[name].scored == len(before)


def test_routellm_truths_become_ones_and_zeros_with_the_benchmark_as_category(tmp_path: Path):
    mmlu = {"prompt": ["one\nAnswer:", "two\nAnswer:"], "org/weak": [False, True], "strong": [True, None]}
    gsm8k = {
        "prompt": ["three"],
        "org/weak": [True],
        "strong": [False],
        "org/weak_response": ["3"],
        "strong_response": ["4"],
    }
    frame, _ = imported(
        tmp_path, write(tmp_path / "mmlu_zoo.csv", mmlu), write(tmp_path / "gsm8k_responses.csv", gsm8k)
    )
    assert cells(frame, "category", "expert", "response", "score") == [
        ("mmlu_zoo", "org/weak", None, 0.0),
        ("mmlu_zoo", "strong", None, 1.0),
        ("mmlu_zoo", "org/weak", None, 1.0),
        ("mmlu_zoo", "strong", None, None),
        ("gsm8k", "org/weak", "3", 1.0),
        ("gsm8k", "strong", "4", 0.0),
    ]


def test_mt_bench_ratings_are_scaled_and_a_failed_rating_is_no_score(tmp_path: Path):
    lines = [
        judgement(81, "big", 2, 8), judgement(81, "big", 1, 10), judgement(81, "small", 1, 1),
        judgement(82, "big", 1, 7), judgement(82, "big", 2, -1), judgement(82, "small", 1, 1, answer="$ERROR$"),
    ]  # fmt: skip
    write(tmp_path / "question.jsonl", [{"question_id": 81, "category": "writing", "turns": ["Write", "Shorter."]}])
    frame, summary = imported(tmp_path, write(tmp_path / "judgements.jsonl", lines))
    assert cells(frame, "instruction", "category", "expert", "response", "score", "error") == [
        ("Write a line about the sea (81).", "writing", "big", "The sea is wide.", 8 / 9, None),
        ("Write a line about the sea (81).", "writing", "small", "The sea is wide.", 0.0, None),
        ("Write a line about the sea (82).", None, "big", "The sea is wide.", None, None),
        ("Write a line about the sea (82).", None, "small", None, None, frame["error"].iloc[3]),
    ]
    assert frame["error"].iloc[3].startswith("error: the call failed")
    assert frame["metric"].iloc[0] == "mt_bench_rating_by_judge-1"
    assert "1 to 10" in summary.notes[0]


def test_mt_bench_questions_and_answers_are_found_in_a_second_turn_alone(tmp_path: Path):
    frame, _ = imported(tmp_path, write(tmp_path / "gpt-4_single.jsonl", [judgement(81, "big", 2, 4)]))
    assert cells(frame, "instruction", "response", "score") == [
        ("Write a line about the sea (81).", "The sea is wide.", 1 / 3)
    ]


def test_a_judge_s_prompt_without_a_question_is_left_out_and_counted(tmp_path: Path):
    lines = [judgement(81, "big", 1, 4), {**judgement(82, "big", 1, 4), "user_prompt": "Who won?"}]
    _, summary = imported(tmp_path, write(tmp_path / "j.jsonl", lines))
    assert summary.rows_read == 2
    ((why, count),) = summary.dropped.items()
    assert (count, "no question in user_prompt (put FastChat's question.jsonl beside" in why) == (1, True)
    write(tmp_path / "question.jsonl", [{"question_id": 82, "category": "x", "turns": ["Who won in 1990?", "Why?"]}])
    frame, summary = imported(tmp_path, write(tmp_path / "k.jsonl", lines), overwrite=True)
    assert not summary.dropped
    assert cells(frame, "instruction", "category", "response")[1] == ("Who won in 1990?", "x", None)


def test_llmrouterbench_failures_become_errors_and_share_the_instruction(tmp_path: Path):
    failed = {"prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0, "ground_truth": ""}
    big = run_of(
        [record(1), record(2, score=None), record(3, raw_output="Generation failed: 429", score=0.0, **failed)]
    )
    small = run_of([record(1, score=0.25, cost=0), record(3, score=0.0, cost=0)], model_name="small")
    frame, summary = imported(tmp_path, write(tmp_path / "big.json", big), write(tmp_path / "small.json", small))
    assert cells(
        frame, "instruction", "expert", "response", "score", "cost", "prompt_tokens", "error", "reference"
    ) == [
        ("Question 1", "big", "It is 8.", 1.0, 0.001, 5, None, "8"),
        ("Question 2", "big", "It is 8.", None, 0.001, 5, None, "8"),
        ("Question 3", "big", None, None, None, None, "error: Generation failed: 429", "8"),
        ("Question 1", "small", "It is 8.", 0.25, None, 5, None, "8"),
        ("Question 3", "small", "It is 8.", 0.0, None, 5, None, "8"),
    ]
    assert (summary.instructions, summary.experts["big"].errors) == (3, 1)
    assert summary.notes == ["Runs of small cost 0 in total: they had no prices, so their costs are unknown."]
    assert set(frame["benchmark_split"]) == {"test"}


def test_an_answer_that_begins_like_an_error_but_was_paid_for_is_an_answer(tmp_path: Path):
    run = run_of([record(1, raw_output="Processing failed: that is what the log says.", score=1.0)])
    assert cells(imported(tmp_path, write(tmp_path / "run.json", run))[0], "score", "error") == [(1.0, None)]


def test_llmrouterbench_keeps_the_latest_run_and_no_demo(tmp_path: Path):
    results = tmp_path / "results" / "zoo" / "test" / "big"
    write(results / "zoo-test-big-20250101_000000.json", run_of([record(1, score=0.0)]))
    write(results / "zoo-test-big-20250301_000000.json", run_of([record(1, score=1.0)]))
    write(results / "zoo-test-big-20250401_000000.json", run_of([record(1, score=0.5)], demo=True))
    frame, summary = imported(tmp_path, tmp_path / "results")
    assert list(frame["score"]) == [1.0]
    assert sorted(summary.dropped.values()) == [1, 1]
    assert summary.dropped["demo run"] == 1
    assert summary.rows_read == 3


def test_a_run_without_names_has_them_in_its_folders(tmp_path: Path):
    run = run_of([record(1)])
    del run["model_name"], run["dataset_name"], run["split"]
    frame, _ = imported(tmp_path, write(tmp_path / "aviary" / "test" / "tiny" / "20250101_000000.json", run))
    assert cells(frame, "expert", "category") == [("tiny", "aviary")]


def test_llmrouter_puts_the_choices_under_the_query_and_failures_score_nothing(tmp_path: Path):
    train = [
        routing("big"),
        routing("small", response="API Error: timeout", token_num=0, input_tokens=0, output_tokens=0, performance=0.0),
        routing("tiny", response="ERROR: none of both", performance=0.0),
    ]
    test = [routing("big", query="Other?", choices=None, performance=0.5)]
    frame, _ = imported(
        tmp_path,
        write(tmp_path / "default_routing_train_data.jsonl", train),
        write(tmp_path / "default_routing_test_data.jsonl", test),
    )
    asked = "How many legs?\nA. six\nB. eight"
    assert cells(
        frame, "instruction", "split", "expert", "response", "score", "prompt_tokens", "latency_s", "error"
    ) == [
        (asked, "train", "big", "B", 1.0, 10, 0.5, None),
        (asked, "train", "small", None, None, None, None, "error: API Error: timeout"),
        (asked, "train", "tiny", "ERROR: none of both", 0.0, 10, 0.5, None),
        ("Other?", "test", "big", "B", 0.5, 10, 0.5, None),
    ]


@pytest.mark.parametrize(
    ("preference", "score"), [(2.0, 1.0), (1.0, 0.0), (1.5, 0.5), (0.0, 0.5), (1.75, 0.75), (None, None)]
)
def test_a_preference_becomes_the_score_against_the_baseline(
    preference: float | None, score: float | None, tmp_path: Path
):
    frame, _ = imported(tmp_path, write(tmp_path / "annotations.json", [annotation(preference)]))
    assert cells(frame, "expert", "response", "score", "metric") == [
        ("mine", "Cats are fine.", score, "preference_over_base"),
        ("base", "Cats!", 0.5, "preference_over_base"),
    ]


def test_a_baseline_without_an_output_is_no_expert(tmp_path: Path):
    frame, _ = imported(tmp_path, write(tmp_path / "annotations.json", [annotation(2.0, output_1=None)]))
    assert list(frame["expert"]) == ["mine"]


def test_outputs_given_before_annotations_do_not_hide_their_scores(tmp_path: Path):
    outputs = [
        {"dataset": "pets", "instruction": text, "output": "Cats are fine.", "generator": "mine"}
        for text in ("Praise cats.", "Praise dogs.")
    ]
    frame, summary = imported(
        tmp_path,
        write(tmp_path / "model_outputs.json", outputs),
        write(tmp_path / "annotations.json", [annotation(2.0)]),
    )
    assert cells(frame, "instruction", "expert", "score") == [
        ("Praise cats.", "mine", 1.0), ("Praise cats.", "base", 0.5), ("Praise dogs.", "mine", None),
    ]  # fmt: skip
    assert summary.dropped.total() == 1


STAMP = "2025-01-01T00-00-00.000001"


def test_lm_eval_takes_the_first_filter_and_the_model_from_the_results(tmp_path: Path):
    docs = [{"question": "Three and five?"}, {"question": "Two and six?"}]
    lines = [sample(n, doc) for n, doc in enumerate(docs)]
    lines += [sample(n, doc, filter="flexible-extract", exact_match=0.0) for n, doc in enumerate(docs)]
    write(
        tmp_path / "org__model" / f"results_{STAMP}.json", {"results": {}, "configs": {}, "model_name": "org/model-v2"}
    )
    frame, summary = imported(tmp_path, write(tmp_path / "org__model" / f"samples_sums_{STAMP}.jsonl", lines))
    assert cells(frame, "instruction", "category", "reference", "expert", "response", "score", "metric") == [
        ("Three and five?", "sums", "8", "org/model-v2", "The answer is 8.", 1.0, "exact_match"),
        ("Two and six?", "sums", "8", "org/model-v2", "The answer is 8.", 1.0, "exact_match"),
    ]
    assert summary.dropped == {"other filter (flexible-extract)": 2}
    assert summary.notes == ["sums: scored by exact_match, filter strict-match."]


def test_lm_eval_without_results_takes_the_folder_s_name(tmp_path: Path):
    frame, _ = imported(
        tmp_path, write(tmp_path / "org__model" / f"samples_a_{STAMP}.jsonl", [sample(0, {"query": "?"})])
    )
    assert list(frame["expert"]) == ["org/model"]


def test_lm_eval_choices_are_shown_and_the_likeliest_is_the_response(tmp_path: Path):
    doc = {"passage": "Spiders.", "question": "Legs?", "choices": {"text": ["six", "eight"], "label": ["A", "B"]}}
    weighed = sample(
        0, doc, target="1", resps=[[["-4.5", "False"]], [["-0.5", "True"]]], filter="none",
        metrics=["acc", "acc_norm"], acc=True, acc_norm=0.0,
        arguments={f"gen_args_{n}": {"arg_0": "Legs?", "arg_1": choice} for n, choice in enumerate([" six", " eight"])},
    )  # fmt: skip
    frame, _ = imported(tmp_path, write(tmp_path / f"samples_zoo_{STAMP}.jsonl", [weighed]))
    assert cells(frame, "instruction", "response", "score", "metric") == [
        ("Spiders.\n\nLegs?\nA. six\nB. eight", "eight", 1.0, "acc")
    ]


def test_lm_eval_metrics_of_which_less_is_better_are_no_scores(tmp_path: Path):
    lines = [
        sample(0, {"query": "a"}, metrics=["wer", "f1"], wer=0.1, f1=0.5),
        sample(1, {"query": "b"}, metrics=["word_perplexity"], word_perplexity=[-3.0, 5]),
        sample(2, {"query": "c"}, metrics=["harm", "acc"], harm=0.9, acc=0),
        sample(3, {"query": "d"}, metrics=["bleu", "count"], bleu=["x", "y"], count=7),
    ]
    results = {"results": {}, "config": {}, "model_name": "m", "higher_is_better": {"t": {"harm": False, "acc": True}}}
    frame, _ = imported(
        tmp_path,
        write(tmp_path / f"samples_t_{STAMP}.jsonl", lines),
        write(tmp_path / f"results_{STAMP}.json", results),
    )
    assert cells(frame, "metric", "score") == [("f1", 0.5), (None, None), ("acc", 0.0), (None, None)]


def test_lm_eval_documents_without_a_question_are_the_same_for_all_models(tmp_path: Path):
    for model, template in (("a", "<user> {} </user>"), ("b", "[INST] {} [/INST]")):
        odd = sample(5, {"stem": "odd"}, arguments=[[template.format("odd"), {}]])
        del odd["metrics"], odd["filter"]
        write(tmp_path / "logs" / model / f"samples_t_{STAMP}.jsonl", [odd])
    frame, summary = imported(tmp_path, tmp_path / "logs")
    assert cells(frame, "instruction", "expert", "score") == [
        ("<user> odd </user>", "a", 1.0),
        ("<user> odd </user>", "b", 1.0),
    ]
    assert summary.instructions == 1


@pytest.mark.parametrize("answers", [None, [], [[]], "8", [[["likely", "True"]]], [[[]]], [[["-1.0", "True"]]]])
def test_lm_eval_answers_of_no_known_shape_are_unknown(answers: object, tmp_path: Path):
    odd = sample(0, {"query": "?"}, resps=answers, arguments=None)
    frame, _ = imported(tmp_path, write(tmp_path / f"samples_t_{STAMP}.jsonl", [odd]))
    assert cells(frame, "response", "score") == [(None, 1.0)]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_plain_rows_keep_further_columns_and_their_own_ids_and_splits(ending: str, tmp_path: Path):
    table = [
        {"id": 7, "q": "one", "who": "x", "ok": True, "split": "dev", "level": 3},
        {"id": 8, "q": "two", "who": "x", "ok": False, "split": "test", "level": 4},
    ]
    path = write(tmp_path / f"rows.{ending}", table)
    columns = {"instruction": "q", "expert": "who", "score": "ok", "instruction_id": "id"}
    frame, _ = imported(tmp_path, path, columns=columns)
    assert cells(frame, "instruction_id", "instruction", "split", "score") == [
        ("7", "one", "validation", 1.0),
        ("8", "two", "test", 0.0),
    ]
    assert [int(level) for level in frame["level"]] == [3, 4]


def test_plain_rows_have_the_ids_they_would_have_unimported(tmp_path: Path):
    path = write(tmp_path / "rows.csv", {"instruction": ["a"], "reference": ["r"], "expert": ["x"], "score": [1]})
    assert list(imported(tmp_path, path)[0]["instruction_id"]) == [instruction_id(None, "a", "r")]
    assert list(read_table(path)["instruction_id"]) == [instruction_id(None, "a", "r")]
