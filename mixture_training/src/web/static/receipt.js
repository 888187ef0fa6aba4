// Why an instruction goes where it goes, in words and as a table.

import { el } from "/static/dom.js";
import { cost, costInWords, score, share, unitOf } from "/static/format.js";
import { facts, folded, table } from "/static/tables.js";

/** Make the receipt of a decision. */
export function receiptOf(receipt) {
  return el("div", { class: "receipt" }, facts(words(receipt)), folded(`All ${receipt.options.length} experts as a table`, () => optionsTable(receipt)));
}

function words(receipt) {
  const chosen = receipt.options.find((one) => one.expert === receipt.chosen);
  const next = receipt.options.find((one) => one.expert === receipt.next_best);
  const excluded = receipt.options.filter((one) => one.excluded !== null);
  return [
    ["Expected score", range(chosen)],
    ["Expected cost", costInWords(chosen.expected_cost)],
    ["Next best", next ? `${next.expert}: ${score(receipt.next_best_score)} for ${costInWords(receipt.next_best_cost)}${compared(receipt, chosen)}` : "nobody is left"],
    ["Taken for", receipt.category === null ? null : `${receipt.category}${receipt.confidence === null ? "" : ` (${share(receipt.confidence, 0)} sure)`}`],
    ["Asks for", receipt.abilities?.length ? receipt.abilities.join(", ") : null],
    ["Like training", receipt.novelty === null ? null : novelty(receipt.novelty)],
    ["Guard", receipt.is_guarded ? "Routing was not shown to be better here, so the experts' means decide." : null],
    ["Session", session(receipt)],
    ["Explored", receipt.is_explored ? `Yes, to learn; without it ${receipt.greedy} would be tried first.` : null],
    ["Not possible", excluded.length ? el("ul", { class: "plain" }, grouped(excluded).map(([why, names]) => el("li", {}, `${names.join(", ")}: ${why}`))) : null],
    ["Policy", receipt.policy === receipt.rule ? receipt.policy : `${receipt.policy}, here ${receipt.rule}`],
    ["Router", `${receipt.router_version}${receipt.is_canary ? " (on trial)" : ""}`],
  ];
}

function range(option) {
  const ends = option.low === null ? "" : ` (nine in ten from ${score(option.low)} to ${score(option.high)})`;
  const mean = option.mean_score === null ? "" : `; mean ${score(option.mean_score)}`;
  return score(option.expected_score) + ends + mean;
}

function compared(receipt, chosen) {
  const times = receipt.next_best_cost / chosen.expected_cost;
  if (!Number.isFinite(times) || times <= 0) return "";
  if (times > 1.05) return `, ${factor(times)} the cost`;
  if (times < 0.95) return `, ${factor(1 / times)} cheaper`;
  return ", for the same cost";
}

function factor(times) {
  return `${times < 10 ? times.toFixed(1) : Math.round(times).toLocaleString("en")} times`;
}

function novelty(value) {
  return value > 1
    ? `No: ${value.toFixed(2)}, where above 1 is unlike anything learned from.`
    : `Yes: ${value.toFixed(2)}, where above 1 is unlike anything learned from.`;
}

function session(receipt) {
  if (receipt.session_expert === null) return null;
  return `${receipt.session_expert} answered before; staying saves ${costInWords(receipt.session_saving)}.`;
}

function grouped(excluded) {
  const groups = new Map();
  for (const one of excluded) groups.set(one.excluded, [...(groups.get(one.excluded) ?? []), one.expert]);
  return [...groups];
}

function optionsTable(receipt) {
  const unit = unitOf(receipt.options.map((one) => one.expected_cost));
  const hasMeans = receipt.options.some((one) => one.mean_score !== null);
  return table(
    "Every expert as it stood",
    [
      { name: "Expert", kind: "text", of: (one) => (one.expert === receipt.chosen ? el("b", {}, one.expert, el("span", { class: "tag" }, "chosen")) : one.expert) },
      { name: "Expected score", kind: "number", of: (one) => score(one.expected_score, 3) },
      { name: "Nine in ten", kind: "number", of: (one) => (one.low === null ? "–" : `${score(one.low)} to ${score(one.high)}`) },
      ...(hasMeans ? [{ name: "Mean score", kind: "number", of: (one) => score(one.mean_score, 3) }] : []),
      { name: `Expected cost, ${unit.words}`, kind: "number", of: (one) => cost(one.expected_cost, unit) },
      { name: "Tried first with", kind: "number", of: (one) => share(one.propensity, 0) },
      { name: "Not possible because", kind: "text", of: (one) => one.excluded ?? "" },
    ],
    receipt.options,
    { rowClass: (one) => (one.expert === receipt.chosen ? "chosen-row" : one.excluded !== null ? "soft-row" : null) },
  );
}
