// The frame of a chart: lines, ticks and what they measure.

import { svg } from "/static/dom.js";

/** Make the horizontal lines of `scale` with their numbers at the left. */
export function rows(scale, frame, format) {
  return svg(
    "g",
    { class: "grid" },
    scale.ticks.map((tick) => {
      const y = scale.at(tick);
      return [
        svg("line", { x1: frame.left, x2: frame.right, y1: y, y2: y }),
        svg("text", { x: frame.left - 8, y: y + 4, "text-anchor": "end" }, format(tick)),
      ];
    }),
  );
}

/** Make the ticks of `scale` along the bottom. */
export function columns(scale, frame, format, { lines = true } = {}) {
  return svg(
    "g",
    { class: "grid" },
    scale.ticks.map((tick) => {
      const x = scale.at(tick);
      return [
        lines ? svg("line", { x1: x, x2: x, y1: frame.top, y2: frame.bottom }) : null,
        svg("text", { x, y: frame.bottom + 18, "text-anchor": "middle" }, format(tick)),
      ];
    }),
  );
}

/** Make the line at the bottom, and the names of both axes. */
export function names(frame, { across, up }) {
  return svg(
    "g",
    { class: "axis" },
    svg("line", { x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom }),
    across ? svg("text", { x: frame.right, y: frame.bottom + 36, "text-anchor": "end" }, across) : null,
    up ? svg("text", { x: frame.left, y: frame.top - 12, "text-anchor": "start" }, up) : null,
  );
}
