// Amounts over time, one column per step, the experts stacked.

import * as axes from "/static/axes.js";
import { drawn, el, newId, put, svg } from "/static/dom.js";
import { count } from "/static/format.js";
import { linear } from "/static/scales.js";

const HEIGHT = 210;
/** Experts with a colour of their own; the rest are one. */
export const COLOURS = 7;
const OTHERS = "others";

/** What stands in the place of an expert where there was none. */
export const NOBODY = "nobody answered";

/** Give each expert its colour: the one with the largest total first; nobody has the colour of failure. */
export function colourOf(totals) {
  const names = Object.entries(totals).sort(([, one], [, other]) => other - one).map(([name]) => name);
  const places = new Map(names.slice(0, COLOURS).map((name, place) => [name, place]));
  return (name) => (name === NOBODY ? "nobody" : places.get(name) ?? "rest");
}

/**
 * Make the chart; `show({steps, series, colour, format, title})` draws it.
 *
 * `steps` are labels of the columns (null where there is none to show), `series` name → one amount per step.
 */
export function columnsChart() {
  const box = el("div", { class: "chart-box short" });
  const legend = el("ul", { class: "legend" });
  let given = null;
  const redraw = drawn(box, (width) => {
    if (given) put(box, picture(grouped(given), width));
  });
  return {
    node: el("figure", { class: "chart-figure" }, box, legend),
    show(next) {
      given = next;
      const { series, colour } = grouped(next);
      put(legend, Object.keys(series).map((name) => el("li", {}, el("span", { class: `swatch c-${colour(name)}`, "aria-hidden": "true" }), name)));
      redraw();
    },
  };
}

/** Return what is drawn: the largest experts, and the others as one. */
function grouped({ series, colour, ...rest }) {
  const own = {};
  let others = null;
  const names = Object.keys(series).sort((one, other) => order(colour(one)) - order(colour(other)));
  for (const name of names) {
    if (colour(name) !== "rest") own[name] = series[name];
    else others = others ? others.map((value, step) => value + series[name][step]) : [...series[name]];
  }
  if (others) own[OTHERS] = others;
  return { ...rest, series: own, colour: (name) => (name === OTHERS ? "rest" : colour(name)) };
}

function order(colour) {
  return { rest: COLOURS, nobody: COLOURS + 1 }[colour] ?? colour;
}

function picture({ steps, series, colour, format = count, title }, width) {
  const totals = steps.map((_, step) => Object.values(series).reduce((sum, values) => sum + values[step], 0));
  const most = Math.max(...totals, 0);
  const frame = { left: 58, right: width - 6, top: 14, bottom: HEIGHT - 28 };
  const up = linear(0, most || 1, frame.bottom, frame.top, 4);
  if (format === count) up.ticks = up.ticks.filter(Number.isInteger);
  const stride = (frame.right - frame.left) / steps.length;
  const gap = stride > 6 ? 2 : stride > 3 ? 1 : 0;
  const base = new Array(steps.length).fill(0);
  const id = newId("chart");
  return svg(
    "svg",
    { class: "chart", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": id },
    svg("title", { id }, title),
    axes.rows(up, frame, format),
    Object.entries(series).map(([name, values]) =>
      svg("g", { class: `c-${colour(name)}` }, values.map((value, step) => {
        if (!value) return null;
        const top = up.at(base[step] + value);
        const height = up.at(base[step]) - top;
        base[step] += value;
        return svg("rect", { x: frame.left + step * stride + gap / 2, y: top, width: Math.max(stride - gap, 0.8), height: Math.max(height, 0.8) },
          svg("title", {}, `${name}: ${format(value)}`));
      })),
    ),
    svg("g", { class: "grid" }, steps.map((label, step) => label === null ? null
      : svg("text", { x: Math.min(frame.left + (step + 0.5) * stride, frame.right - 16), y: frame.bottom + 18, "text-anchor": "middle" }, label))),
    axes.names(frame, {}),
  );
}
