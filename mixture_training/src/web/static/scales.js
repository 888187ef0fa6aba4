// From values to places on a chart, and the ticks between.

/** Return a scale over [low, high] to [from, to] with round ticks. */
export function linear(low, high, from, to, wanted = 5) {
  const span = high - low || 1;
  const step = roundStep(span / wanted);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) ticks.push(tidy(tick));
  return { at: (value) => from + ((value - low) / span) * (to - from), ticks, isLog: false };
}

function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}

function tidy(value) {
  return Number(value.toPrecision(12));
}

/**
 * Return a scale for values that may be 0, logarithmic where they are wide.
 *
 * On a logarithmic one, what is 0 stands at its left end, and `hasZero` says that something does.
 */
export function costScale(values, from, to, most = 7) {
  const positive = values.filter((value) => value > 0);
  if (!positive.length) return { ...linear(0, 1, from, to), hasZero: true };
  const low = Math.min(...positive);
  const high = Math.max(...positive);
  if (high / low < 30) {
    const margin = (high - low) * 0.08 || high * 0.5;
    return linear(Math.max(0, low - margin), high + margin, from, to, Math.min(most, 6));
  }
  const hasZero = positive.length < values.length;
  const start = Math.log10(low) - (hasZero ? 0.8 : 0.25);
  const end = Math.log10(high) + 0.25;
  const at = (value) => from + ((Math.max(value > 0 ? Math.log10(value) : start, start) - start) / (end - start)) * (to - from);
  const powers = [];
  for (let power = Math.ceil(start); power <= Math.floor(end); power += 1) powers.push(power);
  const every = Math.max(1, Math.ceil(powers.length / most));
  const shown = powers.filter((power) => (powers.at(-1) - power) % every === 0);
  const ticks = shown.length > 1 ? shown.map((power) => 10 ** power) : [low, high];
  return { at, ticks, isLog: true, hasZero, value: (place) => 10 ** (start + ((place - from) / (to - from)) * (end - start)) };
}
