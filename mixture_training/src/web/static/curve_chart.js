// What routing reaches for what it costs, beside each expert alone.

import * as axes from "/static/axes.js";
import { drawn, el, newId, put, svg } from "/static/dom.js";
import { costInWords, score, scientific, unitOf, usd } from "/static/format.js";
import { placed } from "/static/labels.js";
import { costScale, linear } from "/static/scales.js";

const HEIGHT = 360;
const NAMED = 8;

/** Make the chart of a router's trade-offs. */
export function curveChart(router) {
  const box = el("div", { class: "chart-box" });
  drawn(box, (width) => put(box, picture(router, width)));
  return el("figure", { class: "chart-figure" }, box,
    el("ul", { class: "legend" },
      el("li", {}, el("span", { class: "swatch line accent", "aria-hidden": "true" }), "this router, one point per trade-off, with 95 % bounds"),
      el("li", {}, el("span", { class: "swatch line dashed", "aria-hidden": "true" }), "the same without looking at the instruction"),
      el("li", {}, el("span", { class: "swatch dot", "aria-hidden": "true" }), "an expert alone")),
    el("figcaption", { class: "soft" }, "Measured on instructions the router has not learned from. Higher is better, further left is cheaper."));
}

function picture(router, width) {
  const { routed, single } = router.trade_offs;
  const alone = router.experts.filter((one) => one.mean_cost !== null).map((one) => ({ name: one.name, cost: one.mean_cost, score: one.mean_score }));
  const frame = { left: 44, right: width - 14, top: 30, bottom: HEIGHT - 46 };
  const costs = [...routed.costs, ...single.costs, ...alone.map((one) => one.cost)];
  const unit = unitOf(costs);
  const across = costScale(costs, frame.left + 10, frame.right - 14, Math.max(3, Math.floor(width / 95)));
  const up = linear(0, Math.max(...routed.qualities_high, ...alone.map((one) => one.score), 0.1), frame.bottom, frame.top);
  const path = (table, name = "qualities") => table.costs.map((cost, row) => `${across.at(cost).toFixed(1)} ${up.at(table[name][row]).toFixed(1)}`);
  const band = [...path(routed, "qualities_high"), ...path(routed, "qualities_low").reverse()];
  const marks = alone.map((one) => ({ ...one, x: across.at(one.cost), y: up.at(one.score), text: one.name }));
  const title = newId("chart");
  const tick = (value) => {
    const told = value * unit.factor;
    return told > 0 && told < 1e-3 ? `$${scientific(told).replace("1.0×", "")}` : usd(told);
  };
  const best = routed.qualities.indexOf(Math.max(...routed.qualities));
  const curve = routed.costs.map((cost, row) => ({ x: across.at(cost), y: up.at(routed.qualities[row]) }));
  const flat = single.costs.map((cost, row) => ({ x: across.at(cost), y: up.at(single.qualities[row]) }));
  const taken = [...marks, ...along(curve), ...along(flat)];
  const labels = placed([...marks].sort((one, other) => other.score - one.score).slice(0, NAMED), taken, { ...frame, top: 2 });
  return svg("svg", { class: "chart", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": title },
    svg("title", { id: title }, `Mean score against mean cost. At its best the router reaches ${score(routed.qualities[best], 3)} for ${costInWords(routed.costs[best])}.`),
    axes.rows(up, frame, (value) => value.toFixed(1)),
    axes.columns(across, frame, tick),
    axes.names(frame, { across: `mean cost, ${unit.words}${across.isLog ? " (log scale)" : ""}`, up: "mean score" }),
    svg("path", { class: "band", d: `M${band.join("L")}Z` }),
    svg("path", { class: "single", d: `M${path(single).join("L")}` }),
    svg("path", { class: "routed", d: `M${path(routed).join("L")}` }),
    marks.map((mark) => svg("g", { class: "mark other" }, svg("circle", { cx: mark.x, cy: mark.y, r: 4 }, svg("title", {}, `${mark.name}: ${score(mark.score)}, ${costInWords(mark.cost)}`)))),
    svg("g", { class: "mark chosen" }, curve.filter((_, row) => row % Math.ceil(curve.length / 24) === 0).map(({ x, y }) => svg("circle", { cx: x, cy: y, r: 2.6 }))),
    svg("g", { class: "labels" }, labels.map(({ text, x, y, anchor }) => svg("text", { x, y, "text-anchor": anchor }, text))));
}

/** Return places close together along a line, for labels to keep away from. */
function along(line) {
  const sorted = [...line].sort((one, other) => one.x - other.x);
  return sorted.flatMap((from, row) => {
    const to = sorted[row + 1] ?? from;
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / 8));
    return Array.from({ length: steps }, (_, step) => ({ x: from.x + ((to.x - from.x) * step) / steps, y: from.y + ((to.y - from.y) * step) / steps }));
  });
}
