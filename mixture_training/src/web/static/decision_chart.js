// Every expert by its expected score and its expected cost, the chosen one marked.

import * as axes from "/static/axes.js";
import { drawn, el, newId, put, svg } from "/static/dom.js";
import { cost, costInWords, score, scientific, unitOf, usd } from "/static/format.js";
import { placed } from "/static/labels.js";
import { costScale, linear } from "/static/scales.js";

const HEIGHT = 340;
/** Experts whose names are shown, the best first; the rest are told by pointing at them, and by the table. */
const NAMED = 7;

/** Return what the experts were ranked by: the means where those were, else what was expected. */
export function rankedBy(option) {
  return {
    score: option.mean_score ?? option.expected_score,
    cost: option.mean_cost ?? option.expected_cost,
  };
}

/** Return the cost weight of a rule; null where it is none. */
export function weightOf(rule) {
  if (rule === "quality") return 0;
  const found = /^cost_weight=(.+)$/.exec(rule);
  return found && Number.isFinite(Number(found[1])) ? Number(found[1]) : null;
}

/** Make the chart; `show(receipt)` draws a decision. */
export function decisionChart() {
  const box = el("div", { class: "chart-box" });
  const readout = el("p", { class: "readout soft", "aria-hidden": "true" });
  const caption = el("figcaption", { class: "soft" });
  let receipt = null;
  const redraw = drawn(box, (width) => {
    if (receipt) put(box, picture(receipt, width, readout));
  });
  return {
    node: el("figure", { class: "chart-figure" }, box, readout, caption),
    show(next) {
      receipt = next;
      readout.textContent = "";
      caption.textContent = captionOf(receipt);
      redraw();
    },
  };
}

function captionOf(receipt) {
  const parts = [];
  if (receipt.options.some((one) => one.low !== null && one.mean_score === null)) {
    parts.push("The bars span the score of nine in ten cases like this one.");
  }
  const weight = weightOf(receipt.rule);
  if (weight === 0) parts.push("Whoever lies highest is chosen, whatever it costs.");
  else if (weight !== null) parts.push("Along the dashed line score and cost are worth as much as the chosen one's; whoever lies above it would be chosen.");
  if (receipt.options.some((one) => one.mean_score !== null)) {
    parts.push("The experts stand at their means, by which they were ranked here.");
  }
  if (receipt.options.some((one) => one.excluded !== null)) parts.push("Crosses could not be chosen.");
  return parts.join(" ");
}

function picture(receipt, width, readout) {
  const frame = { left: 44, right: width - 14, top: 30, bottom: HEIGHT - 46 };
  const marks = receipt.options.map((option) => ({ option, ...rankedBy(option) }));
  const unit = unitOf(marks.map((mark) => mark.cost));
  const up = linear(0, 1, frame.bottom, frame.top);
  const across = costScale(
    marks.map((mark) => mark.cost),
    frame.left + 10,
    frame.right - 14,
    Math.max(3, Math.floor(width / 95)),
  );
  for (const mark of marks) Object.assign(mark, { x: across.at(mark.cost), y: up.at(clamped(mark.score)) });
  const tick = (value) => (value * unit.factor < 1e-3 && value > 0 ? `$${scientific(value * unit.factor).replace("1.0×", "")}` : usd(value * unit.factor));
  const title = newId("chart");
  const order = [...marks].sort((one, other) => rank(receipt, one) - rank(receipt, other));
  const labels = placed(
    order.slice(0, NAMED).map(({ x, y, option }) => ({ x, y, text: option.expert, isOnLine: option.expert === receipt.chosen })),
    marks,
    { ...frame, top: 2 },
  );
  return svg(
    "svg",
    { class: "chart", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": title },
    svg("title", { id: title }, inWords(receipt)),
    axes.rows(up, frame, (value) => value.toFixed(1)),
    axes.columns(across, frame, tick),
    axes.names(frame, { across: `expected cost, ${unit.words}${across.isLog ? " (log scale)" : ""}`, up: "expected score" }),
    worth(receipt, marks, across, up, frame),
    marks
      .sort((one, other) => rank(receipt, other) - rank(receipt, one))
      .map((mark) => markOf(mark, receipt, up, () => (readout.textContent = told(mark.option, unit)))),
    svg(
      "g",
      { class: "labels" },
      labels.map(({ text, x, y, anchor }) => svg("text", { x, y, "text-anchor": anchor }, text)),
    ),
  );
}

/** Order marks by who matters most: the chosen, the next best, then those that could be chosen by their score. */
function rank(receipt, mark) {
  if (mark.option.expert === receipt.chosen) return -2;
  if (mark.option.expert === receipt.next_best) return -1;
  return (mark.option.excluded === null ? 0 : 0.5) + 1 - mark.score;
}

function markOf({ option, x, y }, receipt, up, tell) {
  const isChosen = option.expert === receipt.chosen;
  const kind = option.excluded !== null ? "excluded" : isChosen ? "chosen" : option.expert === receipt.next_best ? "next" : "other";
  const hasRange = option.low !== null && option.high !== null && option.mean_score === null;
  const shape =
    kind === "excluded"
      ? svg("path", { d: `M${x - 4} ${y - 4}l8 8m0-8l-8 8` })
      : svg("circle", { cx: x, cy: y, r: isChosen ? 7 : 4.5 });
  return svg(
    "g",
    { class: `mark ${kind}`, pointerenter: tell, "data-expert": option.expert },
    hasRange ? svg("line", { class: "range", x1: x, x2: x, y1: up.at(clamped(option.low)), y2: up.at(clamped(option.high)) }) : null,
    isChosen ? svg("circle", { class: "halo", cx: x, cy: y, r: 11 }) : null,
    shape,
    svg("circle", { class: "reach", cx: x, cy: y, r: 12 }, svg("title", {}, option.expert)),
  );
}

/** Make the line of what is worth as much as the chosen. */
function worth(receipt, marks, across, up, frame) {
  const weight = weightOf(receipt.rule);
  const chosen = marks.find((mark) => mark.option.expert === receipt.chosen);
  if (weight === null || !chosen) return null;
  if (weight === 0 || !across.isLog) {
    const y = up.at(clamped(chosen.score));
    return weight === 0 ? svg("path", { class: "worth", d: `M${frame.left} ${y}H${frame.right}` }) : null;
  }
  const places = [];
  for (let x = frame.left + 10; x <= frame.right; x += 3) {
    const value = chosen.score + weight * (across.value(x) - chosen.cost);
    if (value >= 0 && value <= 1) places.push(`${x.toFixed(1)} ${up.at(value).toFixed(1)}`);
  }
  return places.length > 1 ? svg("path", { class: "worth", d: `M${places.join("L")}` }) : null;
}

function told(option, unit) {
  const range = option.low === null ? "" : ` (${score(option.low)} to ${score(option.high)})`;
  const why = option.excluded === null ? "" : `; not possible: ${option.excluded}`;
  return `${option.expert}: score ${score(option.expected_score)}${range}, cost ${cost(option.expected_cost, unit)}${unit.short}${why}`;
}

/** Return the chart in a sentence. */
function inWords(receipt) {
  const chosen = receipt.options.find((one) => one.expert === receipt.chosen);
  return (
    `Expected score against expected cost of ${receipt.options.length} experts. Chosen: ${receipt.chosen}, ` +
    `score ${score(chosen.expected_score)}, ${costInWords(chosen.expected_cost)}.`
  );
}

function clamped(value) {
  return Math.min(Math.max(value, 0), 1);
}
