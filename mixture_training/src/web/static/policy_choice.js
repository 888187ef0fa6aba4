// How score and cost are to be traded, chosen by hand → the `model` of a request.

import { el, newId, put } from "/static/dom.js";
import { costInWords, scientific } from "/static/format.js";

const STEPS = 40;

/** Make the control; `model()` returns what is asked for, `changed` is called when that changes. */
export function policyChoice(router, changed) {
  const id = newId("policy");
  const weights = weightRange(router);
  const select = el("select", { id, change: () => show() }, options(router, weights));
  const more = el("div", { class: "policy-more" });
  const said = el("output", { class: "soft small", for: id });
  let model = "moe";
  let isMade = false;

  function set(next, words) {
    model = next;
    said.textContent = words;
    if (isMade) changed();
  }

  function show() {
    const kind = select.value;
    if (kind === "weight") put(more, slider(weights, set));
    else if (kind === "budget") put(more, amount("USD per request, on average", "0.001", "any", (value) => set(`moe:budget=${value}`, "Never more on average than this, as sure as 95 %.")));
    else if (kind === "target") put(more, amount("% of the best expert's quality to keep", "95", "1", (value) => set(`moe:target=${value / 100}`, "For as little money as keeps that much, as sure as 95 %.")));
    else {
      put(more);
      set(kind, explained(kind, router));
    }
  }

  show();
  isMade = true;
  return { node: el("div", { class: "policy" }, el("label", { for: id }, "Policy"), select, more, said), model: () => model };
}

function options(router, weights) {
  const { policies, has_trade_offs: hasTable } = router;
  const experts = router.experts.filter((one) => one.is_reachable && one.is_allowed);
  return [
    el("option", { value: "moe" }, `The router's own (${policies.default})`),
    el("option", { value: "moe-quality" }, "Quality, whatever it costs"),
    el("option", { value: "moe-cheap" }, `Cheap (${policies["moe-cheap"]})`),
    weights ? el("option", { value: "weight" }, "Quality … cheap, by a slider") : null,
    hasTable ? el("option", { value: "budget" }, "Within a budget") : null,
    hasTable ? el("option", { value: "target" }, "Keep a share of the best") : null,
    el("optgroup", { label: "One expert, no routing" }, experts.map((one) => el("option", { value: one.name }, one.name))),
  ].filter(Boolean);
}

function explained(kind, router) {
  if (kind === "moe") return "";
  if (kind === "moe-quality") return "The highest expected score.";
  if (kind === "moe-cheap") return "Little money for answers that are good enough.";
  return router.experts.find((one) => one.name === kind)?.description ?? "";
}

function slider(weights, set) {
  const id = newId("weight");
  const input = el("input", { id, type: "range", min: "0", max: String(STEPS), value: String(STEPS / 2), input: () => tell() });
  function tell() {
    const step = Number(input.value);
    const weight = step === 0 ? 0 : Number((weights.low * (weights.high / weights.low) ** ((step - 1) / (STEPS - 1))).toPrecision(3));
    const words = weight === 0
      ? "Score alone counts."
      : `cost_weight=${weight < 1e4 ? weight : scientific(weight)}: a hundredth of score is worth ${costInWords(0.01 / weight)}.`;
    input.setAttribute("aria-valuetext", words);
    set(weight === 0 ? "moe-quality" : `moe:cost_weight=${weight}`, words);
  }
  const node = el("div", { class: "slider" }, el("label", { for: id, class: "hidden-text" }, "From quality to cheap"),
    el("span", { "aria-hidden": "true" }, "quality"), input, el("span", { "aria-hidden": "true" }, "cheap"));
  queueMicrotask(tell);
  return node;
}

function amount(label, start, step, set) {
  const id = newId("amount");
  const input = el("input", { id, type: "number", min: "0", step, value: start, inputmode: "decimal",
    input: () => {
      if (Number(input.value) > 0) set(Number(input.value));
    } });
  queueMicrotask(() => set(Number(start)));
  return el("div", {}, el("label", { for: id, class: "small" }, label), input);
}

/** Return the least and the largest cost weight worth trying; null where costs are unknown. */
function weightRange(router) {
  const known = (router.trade_offs?.routed.weights ?? []).filter((weight) => weight > 0);
  if (known.length > 2) return { low: known[0], high: known.at(-2) };
  const costs = router.experts.map((one) => one.mean_cost).filter((cost) => cost !== null);
  const spread = costs.length ? Math.max(...costs) - Math.min(...costs) : 0;
  return spread > 0 ? { low: 0.001 / spread, high: 10 / spread } : null;
}
