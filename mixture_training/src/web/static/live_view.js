// What is asked and spent, read again every few seconds.

import { Problem, read } from "/static/api.js";
import { inWords } from "/static/answer.js";
import { colourOf, columnsChart, NOBODY } from "/static/columns_chart.js";
import { el, put } from "/static/dom.js";
import { cost, costInWords, count, duration, many, score, share, unitOf, usd, when } from "/static/format.js";
import { folded, table, tiles } from "/static/tables.js";

const EVERY_MS = 3000;
const HOUR_MS = 3600000;

/** Fill the view. */
export function liveView(section) {
  const state = el("p", { class: "soft small" });
  const trouble = el("div", { role: "status" });
  const pause = el("button", { type: "button", "aria-pressed": "false", click: () => toggle() }, "Pause");
  const body = el("div", {}, el("p", { class: "soft empty card" }, "Reading …"));
  put(section, el("div", { class: "title-row" }, el("h1", { id: "live-title" }, "Live traffic"), el("div", { class: "row" }, state, pause)), trouble, body);
  const panels = panelsOf();
  let timer = 0;
  let isPaused = false;
  let isShown = false;

  function toggle() {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(isPaused));
    state.textContent = isPaused ? "Paused" : "";
    if (!isPaused) look();
  }

  async function look() {
    clearTimeout(timer);
    if (!isShown || isPaused) return;
    if (!document.hidden) {
      try {
        const figures = await read("/v1/page/live");
        panels.show(figures, body);
        put(trouble);
        state.textContent = `As of ${when(figures.now, { day: false, seconds: true })}`;
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        if (!trouble.textContent) put(trouble, el("p", { class: "notice bad" }, `Not up to date. ${inWords(problem)}`));
      }
    }
    clearTimeout(timer);
    if (isShown && !isPaused) timer = setTimeout(look, EVERY_MS);
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
  return {
    show() {
      isShown = true;
      look();
    },
    hide() {
      isShown = false;
      clearTimeout(timer);
    },
  };
}

function panelsOf() {
  const minutes = columnsChart();
  const hours = columnsChart();
  const spend = columnsChart();
  const slots = Object.fromEntries(["figures", "minuteTable", "hourTable", "experts", "keys", "latest"].map((name) => [name, el("div")]));
  const minuteTitle = el("h2", {}, "The last hour");
  const hourCards = [
    el("section", { class: "card", "aria-label": "Calls by the hour" }, el("h2", {}, "Calls by the hour"), hours.node),
    el("section", { class: "card", "aria-label": "Spend by the hour" }, el("h2", {}, "Spend by the hour"), spend.node),
  ];
  const expertsCard = el("section", { class: "card", "aria-label": "Experts" }, el("h2", {}, "Experts, the last seven days"), slots.experts);
  const node = el("div", { class: "live" },
    slots.figures,
    el("section", { class: "card", "aria-label": "The last hour" }, minuteTitle, minutes.node, slots.minuteTable),
    el("div", { class: "pair even" }, hourCards),
    slots.hourTable,
    expertsCard,
    el("div", { class: "pair even" },
      el("section", { class: "card", "aria-label": "Latest requests" }, el("h2", {}, "Latest requests"), slots.latest),
      el("section", { class: "card", "aria-label": "Budgets" }, el("h2", {}, "Spend against budgets"), slots.keys)));
  return {
    node,
    show(figures, body) {
      const isNothing = !figures.recent.summary.requests && !figures.hours?.length;
      if (isNothing && !figures.keys.some((one) => one.budget_usd !== null)) {
        put(body, el("p", { class: "soft empty card" }, "No traffic yet: ask something under Try, or send a request to /v1/chat/completions, and it is counted here within seconds."));
        return;
      }
      if (!body.contains(node)) put(body, node);
      put(slots.figures, summary(figures));
      const colour = colours(figures);
      const recent = recentSeries(figures, colour);
      minuteTitle.textContent = figures.recent.is_cut ? `The latest ${count(figures.recent.summary.requests)} requests` : "The last hour";
      minutes.show(recent);
      renew(slots.minuteTable, "As a table", () => minuteTable(recent));
      const isWhole = figures.hours !== null;
      for (const card of [...hourCards, expertsCard, slots.hourTable]) card.hidden = !isWhole;
      if (isWhole) {
        const byHour = hourSeries(figures, colour);
        hours.show(byHour.calls);
        spend.show(byHour.spend);
        renew(slots.hourTable, "The hours as a table", () => hourTable(figures.hours));
        fresh(slots.experts, () => expertsTable(figures));
      }
      fresh(slots.latest, () => latest(figures.latest));
      fresh(slots.keys, () => budgets(figures));
    },
  };
}

/** Put what `make` makes into `slot`, as far scrolled as it was; not while somebody is in it by keyboard or pointer. */
function fresh(slot, make) {
  if (slot.contains(document.activeElement) || slot.querySelector(":active")) return;
  const old = slot.querySelector(".scroll");
  const [left, top] = [old?.scrollLeft ?? 0, old?.scrollTop ?? 0];
  put(slot, make());
  slot.querySelector(".scroll")?.scrollTo(left, top);
}

/** Put a folded table anew, as open as it was. */
function renew(slot, summary_, make) {
  fresh(slot, () => folded(summary_, make, { isOpen: slot.querySelector("details")?.open ?? false }));
}

function summary({ recent: { summary: sum }, scope }) {
  const part = (value) => (sum.requests ? share(value / sum.requests) : "–");
  const whose = scope === "all" ? "in the last hour" : "of this key, in the last hour";
  return tiles([
    ["Requests", count(sum.requests), whose],
    ["Spend", usd(sum.cost), sum.requests ? `${costInWords(sum.cost / sum.requests)}${sum.cost / sum.requests >= 0.1 ? " each" : " requests"}` : null],
    ["First choice", part(sum.first), "answered by who was chosen"],
    ["Fallback", part(sum.fallback), "answered by another"],
    ["Failed", part(sum.failed), sum.cancelled ? `and ${share(sum.cancelled / sum.requests)} given up` : "answered by nobody"],
    ["Time", duration(sum.p50_s), sum.p95_s === null ? null : `95 % within ${duration(sum.p95_s)}`],
  ]);
}

/** Give every expert one colour for all charts: those with most of the calls and of the spend have their own. */
function colours({ recent, hours }) {
  const cells = hours ?? Object.entries(recent.requests).filter(([name]) => name).map(([expert, values]) => ({ expert, calls: sumOf(values), cost: sumOf(recent.costs[expert]) }));
  const [calls, spent] = [sumOf(cells.map((one) => one.calls)) || 1, sumOf(cells.map((one) => one.cost)) || 1];
  const weights = {};
  for (const one of cells) weights[one.expert] = (weights[one.expert] ?? 0) + one.calls / calls + one.cost / spent;
  return colourOf(weights);
}

function sumOf(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

function recentSeries({ recent, now }, colour) {
  const end = new Date(now).getTime();
  const steps = Array.from({ length: 60 }, (_, step) => {
    const at = new Date(end - (59 - step) * recent.step_s * 1000);
    return step % 15 === 14 || step === 0 ? when(at, { day: false, seconds: recent.step_s < 20 }) : null;
  });
  const series = Object.fromEntries(Object.entries(recent.requests).map(([name, values]) => [name || NOBODY, values]));
  const totals = Object.fromEntries(Object.entries(series).map(([name, values]) => [name, sumOf(values)]));
  return { steps, series, colour, totals,
    title: `Requests over time by who answered, each column ${duration(recent.step_s)}: ${many(recent.summary.requests, "request")} in all.` };
}

function minuteTable({ totals }) {
  return table("Requests by who answered",
    [{ name: "Answered by", kind: "text", of: ([name]) => name }, { name: "Requests", kind: "number", of: ([, value]) => count(value) }],
    Object.entries(totals).sort(([, one], [, other]) => other - one));
}

/** Return the last 24 hours, or as many more as there was traffic in the last seven days. */
function hourSeries({ hours, now }, colour) {
  const end = Math.floor(new Date(now).getTime() / HOUR_MS);
  const first = Math.min(end - 23, ...hours.map((one) => Math.floor(new Date(one.hour).getTime() / HOUR_MS)));
  const length = end - first + 1;
  const steps = Array.from({ length }, (_, step) => {
    const at = new Date((first + step) * HOUR_MS);
    const every = length <= 24 ? 6 : 24;
    return at.getHours() % every === 0 ? (length <= 24 ? when(at, { day: false }) : when(at).slice(5, 10)) : null;
  });
  const calls = {};
  const costs = {};
  for (const one of hours) {
    const step = Math.floor(new Date(one.hour).getTime() / HOUR_MS) - first;
    (calls[one.expert] ??= new Array(length).fill(0))[step] = one.calls;
    (costs[one.expert] ??= new Array(length).fill(0))[step] = one.cost;
  }
  const spent = Object.fromEntries(Object.entries(costs).filter(([, values]) => values.some((value) => value > 0)));
  return {
    calls: { steps, series: calls, colour, title: `Calls of experts by the hour: ${count(sumOf(hours.map((one) => one.calls)))} in all.` },
    spend: { steps, series: spent, colour, format: usd, title: `USD by the hour: ${usd(sumOf(hours.map((one) => one.cost)))} in all.` },
  };
}

function hourTable(hours) {
  const unit = unitOf(hours.map((one) => one.cost / Math.max(one.calls, 1)));
  return table("Every expert by the hour", [
    { name: "Hour", kind: "text", of: (one) => when(one.hour) },
    { name: "Expert", kind: "text", of: (one) => one.expert },
    { name: "Calls", kind: "number", of: (one) => count(one.calls) },
    { name: "Failed", kind: "number", of: (one) => count(one.failures) },
    { name: `Cost, ${unit.words}`, kind: "number", of: (one) => cost(one.cost / Math.max(one.calls, 1), unit) },
    { name: "Judged", kind: "number", of: (one) => count(one.judgements) },
    { name: "Mean score", kind: "number", of: (one) => score(one.mean_score) },
  ], [...hours].reverse());
}

function expertsTable({ hours, experts }) {
  const sums = new Map();
  for (const one of hours) {
    const sum = sums.get(one.expert) ?? { name: one.expert, calls: 0, failures: 0, cost: 0, judgements: 0, scored: 0 };
    sum.calls += one.calls;
    sum.failures += one.failures;
    sum.cost += one.cost;
    sum.judgements += one.judgements;
    sum.scored += (one.mean_score ?? 0) * one.judgements;
    sums.set(one.expert, sum);
  }
  const rows = [...sums.values()].sort((one, other) => other.calls - one.calls);
  const all = sumOf(rows.map((one) => one.calls));
  const unit = unitOf(rows.map((one) => one.cost / Math.max(one.calls, 1)));
  return table("Experts, the last seven days", [
    { name: "Expert", kind: "text", of: (one) => one.name },
    { name: "Calls", kind: "number", of: (one) => count(one.calls) },
    { name: "Share", kind: "number", of: (one) => meter(one.calls / all) },
    { name: "Failed", kind: "number", of: (one) => (one.failures ? el("span", { class: "bad-text" }, `${count(one.failures)} (${share(one.failures / one.calls)})`) : "0") },
    { name: `Cost, ${unit.words}`, kind: "number", of: (one) => cost(one.cost / Math.max(one.calls, 1), unit) },
    { name: "Spend", kind: "number", of: (one) => usd(one.cost) },
    { name: "Judged", kind: "number", of: (one) => count(one.judgements) },
    { name: "Mean score", kind: "number", of: (one) => (one.judgements ? score(one.scored / one.judgements) : "–") },
    { name: "Circuit", kind: "text", of: (one) => circuit(experts?.[one.name]) },
  ], rows);
}

function meter(value) {
  return el("span", { class: "with-meter" }, share(value), el("meter", { min: "0", max: "1", value: String(value), "aria-hidden": "true" }));
}

function circuit(health) {
  if (!health) return "not connected";
  const running = health.in_flight ? `, ${health.in_flight} running` : "";
  return health.circuit === "open" ? el("span", { class: "bad-text" }, "open: it failed too often") : `closed${running}`;
}

function latest(rows) {
  if (!rows.length) return el("p", { class: "soft" }, "None in the last hour.");
  return table("Requests, the newest first", [
    { name: "When", kind: "text", of: (one) => el("a", { href: `#try/${encodeURIComponent(one.id)}`, title: "Show the receipt" }, when(one.created, { day: false, seconds: true })) },
    { name: "Answered by", kind: "text", of: (one) => one.expert ?? "nobody" },
    { name: "How", kind: "text", of: (one) => ending(one) },
    { name: "Policy", kind: "text", of: (one) => one.policy },
    { name: "Time", kind: "number", of: (one) => duration(one.latency_s) },
  ], rows);
}

function ending({ ending: how, first }) {
  if (how === "first") return "first choice";
  if (how === "fallback") return `after ${first}`;
  return how === "cancelled" ? "given up" : el("span", { class: "bad-text" }, how);
}

function budgets({ keys, scope }) {
  if (!keys.length) return el("p", { class: "soft" }, "This server takes requests without keys, so nobody has a budget. `moe keys add NAME --budget_usd 5` gives out a key with one.");
  return el("div", {}, scope === "key" ? el("p", { class: "soft small" }, "A key with limits sees its own traffic and spend.") : null,
    el("ul", { class: "budgets" }, keys.map((one) => {
      const name = el("p", { class: "budget-name" }, el("b", {}, one.name), el("span", { class: "soft small" }, ` …${one.hint}${one.is_own ? ", this one" : ""}`));
      if (one.budget_usd === null) return el("li", {}, name, el("p", { class: "small" }, `${usd(one.spent_usd)} spent, no budget`));
      const part = one.spent_usd / one.budget_usd;
      return el("li", {}, name,
        el("meter", { min: "0", max: "1", low: "0.75", high: "0.9", optimum: "0", value: String(Math.min(part, 1)), "aria-label": `Spend of ${one.name}` }),
        el("p", { class: part >= 0.9 ? "small bad-text" : "small" }, `${usd(one.spent_usd)} of ${usd(one.budget_usd)} spent (${share(part)})${one.requests_per_minute ? `, at most ${one.requests_per_minute} requests a minute` : ""}`));
    })));
}
