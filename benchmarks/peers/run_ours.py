"""Methods of this project, in a process of their own as the peers are: `auto`, or `KIND:ENCODER`."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from exchange import Answer, Problem, answer, median_ms

from mixture_training.src.classifier import classifiers
from mixture_training.src.costs import CostModel
from mixture_training.src.metrics.curves import cost_weights
from mixture_training.src.policy import CostWeightPolicy, QualityPolicy
from mixture_training.src.training_data import load_training_data


def route(problem: Problem, method: str) -> Answer:
    """Fit the method on the train rows, from raw text, and route the test rows."""
    data = load_training_data(problem.dataset, seed=problem.seed)
    kind, _, encoder = method.partition(":")
    options = {"encoder": encoder} if encoder else {}
    classifier = classifiers[kind](**options)
    started = time.perf_counter()
    classifier.fit(data.split("train"), data.split("validation"))
    expected_costs = CostModel.fit(data.split("train"), category_names=classifier.category_names_)
    found = Answer(train_s=time.perf_counter() - started)
    prediction = classifier.predict(problem.test.texts)
    costs = expected_costs.predict(problem.test.texts, prediction)
    found.choices = QualityPolicy().choose(prediction.scores, costs).tolist()
    for weight in cost_weights(prediction.scores, costs):
        found.curve.append(CostWeightPolicy(float(weight)).choose(prediction.scores, costs).tolist())

    def one(text: str) -> int:
        expected = classifier.predict([text])
        return int(QualityPolicy().choose(expected.scores, expected_costs.predict([text], expected))[0])

    found.route_ms = median_ms(one, problem.test.texts)
    flags = f" --model_type {kind}" + (f" --encoder {encoder}" if encoder else "") if method != "auto" else ""
    found.configuration = f"moe train --dataset D --output R{flags}\nmoe route --router R TEXT"
    chosen = classifier.diagnostics().get("chosen") if kind == "auto" else None
    found.settings = ", ".join(f"{name} {weight:.2f}" for name, weight in (chosen or {}).items() if weight)
    return found


if __name__ == "__main__":
    answer(route)
