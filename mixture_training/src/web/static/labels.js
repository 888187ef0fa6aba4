// Names beside marks, where they fit without covering each other.

const FONT = 12;
let measure = null;

/** Return the width of a text of a chart, in pixels. */
export function widthOf(text) {
  measure ??= document.createElement("canvas").getContext("2d");
  measure.font = `${FONT}px ${getComputedStyle(document.body).fontFamily}`;
  return measure.measureText(text).width;
}

/** Return `text` cut to `pixels`, an ellipsis in its middle: names differ at both ends. */
export function fitted(text, pixels) {
  if (widthOf(text) <= pixels) return text;
  for (let length = text.length - 1; length > 4; length -= 1) {
    const tail = Math.floor((length - 1) / 2);
    const cut = `${text.slice(0, length - 1 - tail)}…${text.slice(text.length - tail)}`;
    if (widthOf(cut) <= pixels) return cut;
  }
  return "…";
}

/**
 * Return where labels go: `{text, x, y, anchor}` for those that fit, in the order of their importance.
 *
 * `marks` are `{x, y, text, isOnLine}` of the labels wanted (those on a line go above or below it first), `taken` further places to keep free, `frame` the room there is.
 */
export function placed(marks, taken, frame) {
  const boxes = taken.map(({ x, y }) => ({ left: x - 5, right: x + 5, top: y - 5, bottom: y + 5 }));
  const found = [];
  for (const { x, y, text, isOnLine = false } of marks) {
    const shown = fitted(text, Math.max(80, (frame.right - frame.left) * 0.45));
    const width = widthOf(shown);
    const places = [
      [x + 10, y + 4, "start"],
      [x - 10, y + 4, "end"],
      [x + 6, y - 10, "start"],
      [x - 6, y - 10, "end"],
      [x + 6, y + 18, "start"],
      [x - 6, y + 18, "end"],
    ];
    if (isOnLine) places.unshift([x, y - 16, "middle"], [x, y + 26, "middle"], [x, y - 16, "end"], [x, y + 26, "end"]);
    for (const [left, base, anchor] of places) {
      const start = left - { start: 0, middle: width / 2, end: width }[anchor];
      const box = { left: start, right: start + width, top: base - FONT, bottom: base + 3 };
      const fits = box.left >= frame.left && box.right <= frame.right && box.top >= frame.top && box.bottom <= frame.bottom;
      if (fits && !boxes.some((other) => overlap(box, other))) {
        boxes.push(box);
        found.push({ text: shown, x: left, y: base, anchor });
        break;
      }
    }
  }
  return found;
}

function overlap(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}
