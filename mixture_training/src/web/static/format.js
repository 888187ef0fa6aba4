// Numbers as people read them; what is not known is a dash.

export const UNKNOWN = "–";
const UNITS = [
  [1e-7, 1e9, "per billion", "billion"],
  [1e-4, 1e6, "per million", "million"],
  [0.1, 1e3, "per thousand", "thousand"],
];

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** Return the unit in which costs up to `dearest` USD are easiest to read. */
export function costUnit(dearest) {
  for (const [below, factor, words] of UNITS) {
    if (dearest > 0 && dearest < below) return { factor, words, short: ` ${words}` };
  }
  return { factor: 1, words: "each", short: "" };
}

/** Return the unit for many costs at once. */
export function unitOf(costs) {
  return costUnit(Math.max(0, ...costs.filter(known)));
}

/** Return USD. */
export function usd(value) {
  if (!known(value)) return UNKNOWN;
  if (value === 0) return "$0";
  const size = Math.abs(value);
  if (size >= 1000) return `$${value.toLocaleString("en", { maximumFractionDigits: 0 })}`;
  if (size >= 1) return `$${value.toFixed(2)}`;
  if (size >= 1e-3) return `$${Number(value.toPrecision(3))}`;
  return `$${scientific(value)}`;
}

/** Return a small or large number as 3.1×10⁻⁶. */
export function scientific(value) {
  const [digits, power] = value.toExponential(1).split("e");
  return `${digits}×10${superscript(Number(power))}`;
}

function superscript(number) {
  return String(number).replace(/[-\d]/g, (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)]));
}

/** Return a cost in a unit, without its words. */
export function cost(value, unit) {
  return known(value) ? usd(value * unit.factor) : UNKNOWN;
}

/** Return one cost with words: "$0.41 per million". */
export function costInWords(value) {
  if (!known(value)) return "an unknown cost";
  const unit = costUnit(value);
  return cost(value, unit) + unit.short;
}

/** Return a score in [0, 1]. */
export function score(value, digits = 2) {
  return known(value) ? value.toFixed(digits) : UNKNOWN;
}

/** Return a difference with its sign. */
export function signed(value, digits = 3) {
  return known(value) ? `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}` : UNKNOWN;
}

/** Return a share as a percentage. */
export function share(value, digits = 1) {
  return known(value) ? `${(value * 100).toFixed(digits)} %` : UNKNOWN;
}

/** Return a whole number with its thousands apart. */
export function count(value) {
  return known(value) ? value.toLocaleString("en") : UNKNOWN;
}

/** Return a number of things in words: "1 request", "2 requests". */
export function many(value, what) {
  return `${count(value)} ${what}${value === 1 ? "" : "s"}`;
}

/** Return a time span in the unit that keeps it short. */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds < 1e-3) return `${Number((seconds * 1e6).toPrecision(3))} µs`;
  if (seconds < 1) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  if (seconds < 120) return `${Number(seconds.toPrecision(3))} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** Return when something was, in the reader's own time. */
export function when(stamp, { day = true, seconds = false } = {}) {
  const moment = new Date(stamp);
  if (Number.isNaN(moment.getTime())) return UNKNOWN;
  const two = (number) => String(number).padStart(2, "0");
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}${seconds ? `:${two(moment.getSeconds())}` : ""}`;
  if (!day) return time;
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${time}`;
}

/** Return names in a sentence: "a, b and c". */
export function listed(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
