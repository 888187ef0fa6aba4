"""Judges in a build: right scores, canaries, orders, repairs, budgets, kills; and nothing is paid twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataset_build import (
    BuildConfig,
    ConfigError,
    EarlyStopError,
    build_dataset,
    read_dataset_json,
    read_table,
    validate,
)
from dataset_build.src import calls, limits
from dataset_build.src.build_report import warnings_of
from dataset_build.src.builder import main
from dataset_build.src.building import build, plan_build
from dataset_build.src.judging.judgements import JUDGEMENTS
from tests.fault_server import start_fault_server

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests.dataset_build.sample_judges"
QUALITIES = {"anna": "good", "bert": "fair", "cleo": "bad"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(limits, "FIRST_COOL_DOWN_S", 0.01)


def judge(*functions, **options):
    experts = [{"provider": "python", "name": one, "function": f"{HERE}:{one}"} for one in functions]
    return {"experts": experts, **options}


def answer(text: str, style: str) -> str:
    return f"A {style} answer to {text!r}."


def expert(name):
    function = "tests.dataset_build.test_judges:answer"
    return {"provider": "python", "name": name, "function": function, "options": {"style": QUALITIES[name]}}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a function that makes a configuration of twelve instructions."""
    monkeypatch.chdir(ROOT)
    source = tmp_path / "questions.jsonl"
    lines = [{"instruction": f"What is {n}?", "category": "odd" if n % 2 else "even"} for n in range(12)]
    source.write_text("\n".join(map(json.dumps, lines)))

    def config(judges, *, experts=("anna", "bert", "cleo"), **options):
        values = {
            "sources": [str(source)],
            "experts": [one if isinstance(one, dict) else expert(one) for one in experts],
            "metric": "judge",
            "output": tmp_path / "out",
            "judges": judges,
            "retries": 0,
            **options,
        }
        return BuildConfig.model_validate(values)

    return config


@pytest.fixture
def verdicts(tmp_path, monkeypatch):
    """Count the verdicts that were asked for."""
    file = tmp_path / "verdicts"
    file.touch()
    monkeypatch.setenv("VERDICTS_FILE", str(file))
    return lambda: file.stat().st_size


def scores(config):
    result = build(config)
    frame = read_table(config.output)
    means = {name: part["score"].mean() for name, part in frame.groupby("expert")}
    return result, frame, means


def test_a_rubric_becomes_a_score_on_the_scale(make):
    result, frame, means = scores(make({"fair": judge("honest")}))
    assert means == pytest.approx({"anna": 8 / 9, "bert": 4 / 9, "cleo": 0.0})
    assert set(frame["metric"]) == {"judge"}
    assert frame["metric_version"].str.fullmatch(r"1:[0-9a-f]{12}").all()
    assert frame["score_reason"].isna().all()
    facts = read_dataset_json(result.folder)["judges"]["fair"]
    assert facts["answers"] == 36
    assert facts["experts"]["honest"]["verdicts"] == 36
    assert facts["experts"]["honest"]["canaries"] == {"empty": 1, "demand": 1, "copy": 1}
    assert facts["experts"]["honest"]["fell_for"] == {}
    assert not [line for one in result.judges for line in one.warnings()]


def test_several_judges_are_averaged_and_their_disagreement_is_known(make):
    result, _, means = scores(make({"both": judge("honest", "strict")}))
    assert means == pytest.approx({"anna": 7 / 9, "bert": 3 / 9, "cleo": 0.0})
    assert result.judges[0].disagreement == pytest.approx((2 / 3 * (2 / 9) ** 2 / 2) ** 0.5)


def test_pairs_are_asked_in_both_orders_and_a_score_is_the_share_of_wins(make, verdicts):
    result, _, means = scores(make({"pairs": judge("honest", mode="pairwise", canary_batch=1000)}))
    assert means == pytest.approx({"anna": 1.0, "bert": 0.5, "cleo": 0.0})
    assert verdicts() == 12 * 6 + 6  # three pairs in two orders; three canaries in two orders
    assert result.judges[0].members["judge:pairs:honest"].inconsistent == 0


def test_pairs_against_one_baseline(make, verdicts):
    config = make({"pairs": judge("honest", mode="pairwise", baseline="bert")})
    assert scores(config)[2] == pytest.approx({"anna": 1.0, "bert": 0.5, "cleo": 0.0})
    assert verdicts() == 12 * 4 + 6
    with pytest.raises(ConfigError, match="baseline 'berta' is no expert of this dataset. Did you mean 'bert'"):
        build(make({"pairs": judge("honest", mode="pairwise", baseline="berta")}, output=config.output.parent / "b"))


def test_thoughts_are_not_shown_to_a_judge_and_what_was_cut_is_told(make):
    def thinker(name, text):
        function = "tests.dataset_build.test_judges:constant"
        return {"provider": "python", "name": name, "function": function, "options": {"answer": text}}

    experts = [thinker("a", "<think>good, good</think>bad"), thinker("b", "good" + "x" * 1000)]
    _, frame, means = scores(make({"one": judge("honest", most_characters=500)}, experts=experts))
    assert means == pytest.approx({"a": 0.0, "b": 8 / 9})
    reasons = frame.groupby("expert")["score_reason"].unique()
    assert list(reasons["b"]) == ["the judge saw at most 500 characters"]
    assert not any(isinstance(reason, str) for reason in reasons["a"])


def constant(text: str, answer: str) -> str:
    return answer


def test_equal_answers_tie_without_a_question(make, verdicts):
    twin = {**expert("anna"), "name": "twin"}
    config = make({"pairs": judge("honest", mode="pairwise")}, experts=("anna", twin))
    assert scores(config)[2] == {"anna": 0.5, "twin": 0.5}
    assert verdicts() == 6


def test_a_judge_that_prefers_the_first_says_nothing_but_ties(make):
    result, frame, means = scores(make({"pairs": judge("first_is_best", mode="pairwise")}))
    assert set(means.values()) == {0.5}
    one = result.judges[0].members["judge:pairs:first_is_best"]
    assert one.inconsistent == one.pairs == 72  # each pair is seen from both sides
    warnings = result.judges[0].warnings()
    assert any("order decide in 72 of 72 pairs" in line for line in warnings)
    assert read_dataset_json(result.folder)["judges"]["pairs"]["experts"]["first_is_best"]["share_of_first"] == 1.0
    assert frame["score_reason"].str.contains("fell for the canary").all()


@pytest.mark.parametrize(
    ("function", "kinds"), [("lenient", {"empty", "demand", "copy"}), ("obedient", {"demand"}), ("honest", set())]
)
def test_a_judge_that_falls_for_a_canary_is_reported_and_its_scores_are_flagged(make, function, kinds):
    result, frame, _ = scores(make({"one": judge(function, canary_batch=10)}))
    member = result.judges[0].members[f"judge:one:{function}"]
    assert member.canaries == {"empty": 3, "demand": 3, "copy": 3}
    assert set(member.fallen) == kinds
    flagged = frame["score_reason"].str.contains("flagged").fillna(False)
    assert flagged.all() if kinds else not flagged.any()
    assert len([line for line in result.judges[0].warnings() if "fell for" in line]) == len(kinds)
    assert result.judges[0].flagged == (36 if kinds else 0)


def test_only_the_batches_of_a_fallen_canary_are_flagged(make, monkeypatch):
    monkeypatch.setattr("tests.dataset_build.sample_judges.worth", lambda text: 9 if "What is 3?" in text else 1)
    _, frame, _ = scores(make({"one": judge("honest", canary_batch=3)}))
    flagged = frame[frame["score_reason"].str.contains("flagged").fillna(False)]
    assert set(flagged["instruction"]) == {"What is 3?"}


def test_verdicts_in_prose_and_after_thoughts_are_read(make):
    assert scores(make({"one": judge("in_prose")}))[2] == pytest.approx({"anna": 8 / 9, "bert": 4 / 9, "cleo": 0.0})


def test_an_unreadable_reply_is_asked_for_once_more(make):
    result, _, means = scores(make({"one": judge("repaired")}))
    assert means == pytest.approx({"anna": 8 / 9, "bert": 4 / 9, "cleo": 0.0})
    assert result.judges[0].members["judge:one:repaired"].repaired == 36


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("out_of_scale", 'no verdict (out_of_scale: unreadable reply, it holds no JSON object with "score")'),
        ("quoting", 'no verdict (quoting: unreadable reply, it holds several JSON objects with "score" that differ)'),
        ("down", "no verdict (down: failed call, connection)"),
        ("refusing", "no verdict (refusing: failed call, content_filter)"),
    ],
)
def test_without_a_verdict_the_score_is_null_and_says_why(make, function, why):
    result, frame, _ = scores(make({"one": judge(function)}))
    assert frame["score"].isna().all()
    if function != "down":  # the endpoint is left alone before it was asked everything
        assert set(frame["score_reason"]) == {why}
    assert why in set(frame["score_reason"])
    assert any("has no verdict on" in line for line in result.judges[0].warnings())
    assert any("answers have no score" in line for line in warnings_of(result.summary))


def test_a_judge_without_a_verdict_is_left_out_of_the_mean(make):
    assert scores(make({"one": judge("honest", "refusing", "quoting")}))[2]["anna"] == pytest.approx(8 / 9)


def test_a_judge_may_be_chosen_by_category_and_mixed_with_others(make):
    rules = [{"category": "odd", "metric": '0.5*judge{"name": "b"} + 0.5*judge{"name": "a"}'}]
    config = make({"a": judge("honest"), "b": judge("strict")}, metric='judge{"name": "a"}', metrics=rules)
    _, frame, _ = scores(config)
    anna = frame[frame["expert"] == "anna"].groupby("category")["score"].mean()
    assert anna.to_dict() == pytest.approx({"even": 8 / 9, "odd": 7 / 9})


def test_a_judge_that_is_not_there_is_refused_before_anything_is_asked(make):
    with pytest.raises(ConfigError, match="needs a judge; state one under `judges:`"):
        build(make({}))
    with pytest.raises(ConfigError, match="Unknown judge 'fare'. Did you mean 'fair'"):
        build(make({"fair": judge("honest")}, metric='judge{"name": "fare"}'))
    with pytest.raises(ConfigError, match="could mean a, b"):
        build(make({"a": judge("honest"), "b": judge("honest")}))
    with pytest.raises(ConfigError, match="Judge 'a', expert 1: unknown key|Unknown expert 'pythn'"):
        build(make({"a": {"experts": ["pythn"]}}))
    with pytest.raises(ConfigError, match="unknown key 'judges.a.rubrik'. Did you mean 'rubric'"):
        validate(BuildConfig, {"judges": {"a": {"experts": ["echo"], "rubrik": "x"}}}, where="build.yaml")
    with pytest.raises(ConfigError, match="cannot read its rubric none.md"):
        build(make({"a": judge("honest", rubric="none.md")}))


def test_a_finished_dataset_is_judged_again_without_a_call(make, verdicts):
    config = make({"one": judge("honest")})
    build(config)
    paid = verdicts()
    assert (config.output / JUDGEMENTS).is_file()
    again = make({"one": judge("honest")}, use_existing_dataset=True)
    build(again)
    assert verdicts() == paid == 39
    more = make(
        {"one": judge("honest"), "two": judge("strict")}, use_existing_dataset=True, metric='judge{"name": "two"}'
    )
    assert scores(more)[2]["anna"] == pytest.approx(6 / 9)
    assert verdicts() == 78
    build(make({}, use_existing_dataset=True, metric="exact_match"))  # what was paid for is kept without a judge, too
    build(more)
    assert verdicts() == 78


def test_a_judge_is_within_the_budget_and_resumes(make, verdicts):
    priced = judge("honest")
    priced["experts"][0]["price"] = {"per_call": 0.01}
    with pytest.raises(EarlyStopError, match="budget of USD 0.2 is met"):
        build(make({"one": priced}, budget_usd=0.2))
    assert verdicts() == 20
    config = make({"one": priced}, budget_usd=0.4)
    _, frame, means = scores(config)
    assert verdicts() == 39
    assert means["anna"] == pytest.approx(8 / 9)
    assert frame["cost"].sum() == 0.0  # what judges cost is not the experts'
    costs = read_dataset_json(config.output)["costs"]
    assert costs["judge:one:honest"] == {"(judging)": {"calls": 39, "usd": pytest.approx(0.39)}}
    assert "judge:one:honest" not in costs["anna"]


def test_a_partial_build_says_which_answers_were_not_judged(make):
    priced = judge("honest")
    priced["experts"][0]["price"] = {"per_call": 0.01}
    config = make({"one": priced}, budget_usd=0.2, partial=True)
    with pytest.raises(EarlyStopError):
        build(config)
    frame = read_table(config.output)
    assert (frame["score_reason"] == "no verdict (honest: not asked)").sum() == 36 - 17
    build(make({"one": priced}, use_existing_dataset=True))
    assert read_table(config.output)["score"].notna().all()


def test_the_command_takes_judges_from_a_file_and_warns_of_them(make, tmp_path, capsys):
    config = make({})
    (tmp_path / "judges.yaml").write_text(json.dumps({"judges": {"one": judge("lenient")}}))
    (tmp_path / "experts.yaml").write_text(json.dumps([expert("anna")]))
    arguments = [
        "--sources",
        config.sources[0].source,
        "--experts",
        str(tmp_path / "experts.yaml"),
        "--metric",
        "judge",
    ]
    arguments += ["--output", str(tmp_path / "out")]
    assert main([*arguments, "--judges", str(tmp_path / "judges.yaml"), "--quiet"]) == 0
    assert "Warning: judge one: lenient fell for 1 of 1 canaries of the kind 'copy'" in capsys.readouterr().err
    assert read_table(tmp_path / "out")["score"].notna().all()


def test_a_dry_run_prices_the_judges(make, verdicts):
    priced = judge("honest")
    priced["experts"][0]["price"] = {"per_call": 0.01}
    config = make({"one": priced})
    (plan,) = [one for one in plan_build(config).experts if one.name == "judge:one:honest"]
    assert plan.to_ask == 39
    assert plan.most_usd >= 0.39
    assert verdicts() == 0
    build(config)
    (plan,) = [
        one
        for one in plan_build(make({"one": priced}, use_existing_dataset=True)).experts
        if one.name == "judge:one:honest"
    ]
    assert plan.reused == 36


@pytest.mark.slow
def test_killed_at_any_time_nothing_is_judged_twice(make, tmp_path, verdicts):
    config = make({"one": judge("honest", "repaired"), "two": judge("strict", mode="pairwise")},
                  further_metrics=['judge{"name": "two"}'], metric='judge{"name": "one"}', concurrency=1)  # fmt: skip
    file = tmp_path / "build.json"
    file.write_text(config.model_dump_json())
    code = (
        "import sys, time; from pathlib import Path; from dataset_build import BuildConfig, build_dataset\n"
        "import tests.dataset_build.sample_judges as j; old = j._count\n"
        "def slow():\n    time.sleep(0.005); old()\n"
        "j._count = slow\n"
        "build_dataset(BuildConfig.model_validate_json(Path(sys.argv[1]).read_text()))"
    )
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", code, str(file)], cwd=ROOT, env={**os.environ})
        before = verdicts()
        while process.poll() is None and verdicts() < before + 45:
            time.sleep(0.005)
        if process.poll() is not None:
            assert process.returncode == 0
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert kills >= 2
    undisturbed = 2 * 39 + 12 * 6 + 6
    assert undisturbed <= verdicts() <= undisturbed + 2 * kills  # those in flight at a kill
    expected = read_table(build_dataset(config.model_copy(update={"output": tmp_path / "other"})))
    columns = ["instruction_id", "expert", "score", "metric"]
    assert read_table(config.output)[columns].equals(expected[columns])


def test_endpoints_are_asked_by_schema_and_without_where_they_refuse_it(make):
    reply = '{"reason": "fine", "score": 10}'
    with start_fault_server(answer=reply) as server:
        endpoint = {"provider": "openai_compatible", "name": "m", "model": "m", "base_url": server.url}
        _, _, means = scores(make({"one": {"experts": [endpoint]}}, experts=("anna",)))
        _, body = server.last_request()
    assert means == {"anna": 1.0}
    form = body["response_format"]["json_schema"]
    assert form["schema"]["properties"]["score"] == {"type": "number"}


def test_a_refused_schema_costs_one_request(make, monkeypatch):
    from dataset_build.src.errors import ExpertRefusedError
    from dataset_build.src.experts.openai_compatible import OpenAICompatibleExpert

    real = OpenAICompatibleExpert.answer
    seen = []

    async def picky(self, instruction):
        has_form = "response_format" in self._request.body
        seen.append(has_form)
        if has_form:
            raise ExpertRefusedError("HTTP 400: unknown field response_format", expert=self.name, kind="bad_request")
        return await real(self, instruction)

    monkeypatch.setattr(OpenAICompatibleExpert, "answer", picky)
    with start_fault_server(answer='{"reason": "fine", "score": 10}') as server:
        endpoint = {"provider": "openai_compatible", "name": "m", "model": "m", "base_url": server.url}
        config = make({"one": {"experts": [endpoint]}}, experts=("anna",), concurrency=1)
        assert scores(config)[2] == {"anna": 1.0}
    assert seen.count(True) == 1


def test_a_dry_run_takes_answers_that_are_not_there_for_no_longer_than_they_may_be(make, verdicts):
    priced = judge("honest")
    priced["experts"][0]["price"] = {"prompt_per_million": 1.0}

    def most_usd(max_tokens):
        answering = {"provider": "openai_compatible", "base_url": "http://127.0.0.1:9", "model": "m", "name": "anna"}
        config = make({"one": priced}, experts=[{**answering, "max_tokens": max_tokens}])
        (plan,) = [one for one in plan_build(config).experts if one.name == "judge:one:honest"]
        return plan.most_usd

    assert 0.0 < 10 * most_usd(16) < most_usd(None) == most_usd(1_000_000)
