// What the router is, how good it was found to be, and its versions.

import { Problem, read } from "/static/api.js";
import { inWords } from "/static/answer.js";
import { curveChart } from "/static/curve_chart.js";
import { el, put } from "/static/dom.js";
import { cost, costInWords, count, many, score, share, signed, unitOf, when } from "/static/format.js";
import { facts, folded, table, tiles } from "/static/tables.js";

/** Fill the view. */
export function routerView(section) {
  const body = el("div", {}, el("p", { class: "soft empty card" }, "Reading …"));
  put(section, el("h1", { id: "router-title" }, "The router"), body);
  const versions = el("section", { class: "card", "aria-labelledby": "versions-title" });
  return {
    async show() {
      try {
        const router = await read("/v1/page/router");
        put(body, verdict(router), evaluation(router), el("div", { class: "pair" }, curve(router), versions), experts(router), card(router));
        put(versions, el("h2", { id: "versions-title" }, "Versions"), el("p", { class: "soft" }, "Reading …"));
        put(versions, el("h2", { id: "versions-title" }, "Versions"), await versionsOf());
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        put(body, el("p", { class: "notice bad" }, inWords(problem)));
      }
    },
    hide() {},
  };
}

/** Say what the guard found, in words with its interval. */
function verdict({ guard, metrics, best_single: best }) {
  if (!guard) {
    return el("p", { class: "verdict" }, "Whether this router is better than none was not measured: it was trained without validation rows, or by an older version.");
  }
  const { quality, cost: money } = guard;
  const better = quality.is_better;
  const head = better
    ? `Routing is better than always asking ${metrics.best_single_name ?? best}: ${signed(quality.value)} mean score (95 % interval ${signed(quality.low)} to ${signed(quality.high)}, ${count(quality.rows)} instructions it had not learned from).`
    : `Routing was not shown to be better than always asking ${metrics.best_single_name ?? best}: ${signed(quality.value)} mean score (95 % interval ${signed(quality.low)} to ${signed(quality.high)}, ${count(quality.rows)} instructions it had not learned from).`;
  const rest = `Along the cost curve it is ${money.is_better ? "" : "not shown to be "}better than choosing without looking at the instruction: ${signed(money.value)} (${signed(money.low)} to ${signed(money.high)}). ${guard.on ? "The guard is on: where routing is not shown to be better, the experts' means decide." : "The guard is off: it routes in any case."}`;
  return el("div", { class: `verdict ${better ? "good" : "bad"}` }, el("p", { class: "headline" }, head), el("p", { class: "soft" }, rest));
}

function evaluation({ metrics }) {
  if (!metrics.instructions) return el("p", { class: "soft empty card" }, "There were no validation rows, so nothing is known about its quality yet.");
  const rows = [["This router", metrics.routed], [`Always ${metrics.best_single_name}`, metrics.best_single], ["By chance", metrics.random], ["Best possible", metrics.oracle]];
  return el("div", {}, tiles(rows.map(([name, row]) => [name, score(row.value, 3), `${score(row.low)} to ${score(row.high)} · ${costInWords(row.cost)}`])),
    el("p", { class: "soft small" }, `Mean score on ${many(metrics.instructions, "validation instruction")} by the policy ${metrics.policy}, with 95 % intervals.`));
}

function curve(router) {
  if (!router.trade_offs) return el("section", { class: "card" }, el("h2", {}, "Quality and cost"), el("p", { class: "soft" }, "No trade-offs were measured: costs are unknown, or there were no validation rows."));
  const { routed } = router.trade_offs;
  const unit = unitOf(routed.costs);
  return el("section", { class: "card", "aria-labelledby": "curve-title" }, el("h2", { id: "curve-title" }, "Quality and cost"), curveChart(router),
    folded("The curve as a table", () => table("Trade-offs of the router", [
      { name: "cost_weight", kind: "number", of: (row) => routed.weights[row].toPrecision(3) },
      { name: `Mean cost, ${unit.words}`, kind: "number", of: (row) => cost(routed.costs[row], unit) },
      { name: "Mean score", kind: "number", of: (row) => score(routed.qualities[row], 3) },
      { name: "At least", kind: "number", of: (row) => score(routed.qualities_low[row], 3) },
      { name: "Of the best alone", kind: "number", of: (row) => share(routed.kept[row]) },
    ], routed.costs.map((_, row) => row))));
}

function experts(router) {
  const unit = unitOf(router.experts.map((one) => one.mean_cost));
  const rows = [...router.experts].sort((one, other) => other.mean_score - one.mean_score);
  return el("section", { class: "card", "aria-labelledby": "experts-title" }, el("h2", { id: "experts-title" }, many(rows.length, "expert")),
    table("Experts", [
      { name: "Expert", kind: "text", of: (one) => one.name },
      { name: "Mean score", kind: "number", of: (one) => el("span", { class: "with-meter" }, score(one.mean_score, 3), el("meter", { min: "0", max: "1", value: String(one.mean_score ?? 0), "aria-hidden": "true" })) },
      { name: `Mean cost, ${unit.words}`, kind: "number", of: (one) => cost(one.mean_cost, unit) },
      { name: "Chosen for", kind: "number", of: (one) => share(one.share) },
      { name: "What it is", kind: "text wide", of: (one) => one.description || "–" },
      { name: "Can be asked", kind: "text", of: (one) => (!one.is_reachable ? "not connected" : one.is_allowed ? "yes" : "not with this key") },
    ], rows));
}

function card(router) {
  const { metrics, data } = router;
  return el("section", { class: "card", "aria-labelledby": "card-title" }, el("h2", { id: "card-title" }, "Card"),
    facts([
      ["Version", router.version],
      ["Model type", router.model_type + (router.encoder ? `, encoder ${router.encoder}` : "")],
      ["Learned from", data.train_instructions === null ? null : `${many(data.train_instructions, "instruction")}, judged on ${count(data.validation_instructions)}`],
      ["Policy", router.policies.default],
      ["moe-cheap", router.policies["moe-cheap"]],
      ["Gap closed", metrics.gap_closed === null ? null : `${share(metrics.gap_closed)} of the way from the best single expert to the best possible`],
      ["Calibration", metrics.ece === null ? null : `expected scores are off by ${score(metrics.ece, 3)} on average (ECE)`],
      ["Expected costs", metrics.cost_error === null ? null : `off by ${share(metrics.cost_error, 0)} of the mean cost`],
      ["Unlike training", metrics.novel_share === null ? null : `${share(metrics.novel_share)} of the validation rows`],
      ["Feedback", router.is_corrected ? "Its scores carry a correction learned from feedback." : "No correction from feedback yet."],
      ["Texts", router.keeps_texts ? "Instructions and answers are stored on this server." : "Instructions and answers are not stored."],
    ]));
}

async function versionsOf() {
  try {
    const found = await read("/v1/page/versions");
    return el("div", {},
      found.canary ? el("p", { class: "notice" }, `Version ${found.canary.version} is on trial with ${share(found.canary.share)} of the traffic since ${when(found.canary.since)}: ${found.canary.text}.`) : null,
      found.watched === null ? null : el("p", { class: "soft small" }, `Version ${found.watched} was promoted not long ago and is watched: shown worse, it is rolled back.`),
      el("ol", { class: "versions" }, found.versions.map(versionRow)),
      driftOf());
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    return el("p", { class: "notice bad" }, problem.message);
  }
}

/** Make the button that measures drift, and the place of what it says. */
function driftOf() {
  const said = el("p", { class: "small", role: "status" });
  const button = el("button", { type: "button", click: async () => {
    button.disabled = true;
    said.textContent = "Measuring …";
    try {
      said.textContent = (await read("/v1/page/drift")).drift;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      said.textContent = problem.message;
    }
    button.disabled = false;
  } }, "Measure drift");
  return el("div", { class: "drift" }, el("h2", {}, "Drift"), el("p", { class: "soft small" }, "Whether what is asked lately is still like what the router was trained for."), button, said);
}

const HOW = { train: "trained", quick: "corrected from feedback", full: "trained again with feedback" };

function versionRow(one) {
  const judged = one.judged ? `${many(one.judged, "judgement")}, mean score ${score(one.mean_score)}` : "not judged yet";
  return el("li", { class: one.state === "in use" ? "current" : null },
    el("p", {}, el("b", {}, `Version ${one.version}`), el("span", { class: `tag ${one.state.replace(" ", "-")}` }, one.state), el("span", { class: "soft small" }, one.tag)),
    el("p", { class: "small" }, `${HOW[one.how] ?? one.how}, ${when(one.when)} · ${judged}${one.is_kept || one.state === "in use" ? "" : " · no longer kept"}`),
    one.reason ? el("p", { class: "soft small" }, one.reason) : null);
}
