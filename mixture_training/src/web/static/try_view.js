// Try an instruction: the decision as it is typed, its receipt, and the answer as it comes in.

import { Problem, read, send } from "/static/api.js";
import { answerInto, attemptsOf, inWords, isDeclined, judgeOf, outcomeTiles, showProblem } from "/static/answer.js";
import { conversationOf } from "/static/conversation.js";
import { decisionChart } from "/static/decision_chart.js";
import { el, newId, put, settled } from "/static/dom.js";
import { score, share } from "/static/format.js";
import { policyChoice } from "/static/policy_choice.js";
import { receiptOf } from "/static/receipt.js";
import { folded, tiles } from "/static/tables.js";

const EXAMPLES = ["What is 17% of 2,340?", "How many miles is a marathon of 42.195 km?", "Write a limerick about a lighthouse."];
/** Milliseconds after the last keystroke at which the decision is asked for. */
const SETTLED_MS = 250;

/** Fill the view. */
export function tryView(section, router) {
  const input = inputOf("Instruction", "Type an instruction, or paste a chat as JSON", () => decideSoon());
  const policy = policyChoice(router, () => decideSoon());
  const ask = el("button", { type: "submit", class: "primary" }, "Ask");
  const stop = el("button", { type: "button", hidden: true }, "Stop");
  const decision = decisionPanel();
  const answer = el("div", { class: "answer-box" });
  const form = el(
    "form",
    { class: "card ask", submit: (event) => { event.preventDefault(); run(); } },
    input.node,
    el("div", { class: "controls" }, policy.node, el("div", { class: "row end" }, el("span", { class: "soft small keys" }, "Ctrl + Enter"), stop, ask)),
  );
  put(
    section,
    el("h1", { id: "try-title", class: "hidden-text" }, "Try an instruction"),
    form,
    el("div", { class: "pair" },
      el("section", { class: "card", "aria-labelledby": "decision-title" }, el("h2", { id: "decision-title" }, "Decision"), decision.node),
      el("section", { class: "card", "aria-labelledby": "answer-title" }, el("h2", { id: "answer-title" }, "Answer"), answer)),
  );
  emptyAnswer(answer, (text) => { input.set(text); decideSoon(); input.area.focus(); });

  // A key that may only ask so many times a minute is not spent on looking.
  const isLive = !router.key?.requests_per_minute;
  let looking = null;
  const look = settled(() => decide(), SETTLED_MS);
  function decideSoon() {
    if (isLive) look();
  }

  async function decide() {
    looking?.abort();
    looking = new AbortController();
    if (!input.text().trim()) {
      decision.empty();
      return;
    }
    try {
      decision.show(await send("/v1/route", { ...input.body(), model: policy.model() }, looking.signal));
    } catch (problem) {
      if (problem instanceof Problem) decision.fail(problem);
      else if (problem.name !== "AbortError") throw problem;
    }
  }

  let running = null;
  stop.addEventListener("click", () => running?.abort());

  async function run() {
    if (!input.text().trim()) {
      input.area.focus();
      return;
    }
    running?.abort();
    const own = (running = new AbortController());
    const text = el("div", { class: "answer", id: newId("answer"), "aria-live": "polite", tabindex: "0", role: "region", "aria-label": "What was answered" });
    const status = el("p", { class: "soft small", role: "status" }, "Asking …");
    const after = el("div");
    put(answer, status, text, after);
    answer.closest(".card").scrollIntoView({ block: "nearest" });
    ask.disabled = true;
    stop.hidden = false;
    const body = { ...input.body(), model: policy.model() };
    const result = await answerInto(text, body, own.signal, { began: (expert) => (status.textContent = `${expert} answers …`) });
    if (own !== running) return;
    ask.disabled = false;
    stop.hidden = true;
    await settle(result, status, text, after, decision);
  }

  input.area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  return {
    show() {
      if (!input.text().trim()) decision.empty();
    },
    hide() {},
    explain: (id) => explain(id, decision, answer),
  };
}

/** Show what a finished request came to, and the receipt it was really decided by. */
async function settle(result, status, text, after, decision) {
  const { problem } = result;
  status.textContent = problem || isDeclined(result) ? "" : `${result.expert} has answered${result.finish === "length" ? ", cut off at its length limit" : ""}.`;
  if (isDeclined(result)) text.append(el("span", { class: "soft" }, "Nobody could: every expert that was asked declined."));
  else if (!text.textContent && !problem) text.append(el("span", { class: "soft" }, "The answer is empty."));
  text.hidden = !text.textContent;
  if (problem) showProblem(after, problem);
  if (result.moe) {
    put(after, after.childNodes.length ? [...after.childNodes] : null, tiles(outcomeTiles(result)), attemptsOf(result.moe.attempts),
      problem ? null : judgeOf(result.decision), nearestOf(result.decision));
  }
  if (!result.decision || problem?.status === 401) return;
  try {
    const stored = await read(`/v1/decisions/${encodeURIComponent(result.decision)}`);
    if (stored.receipt?.options?.length > 1) decision.show(stored.receipt);
    if (problem && stored.attempts.length) after.append(attemptsOf(stored.attempts));
  } catch (caught) {
    if (!(caught instanceof Problem)) throw caught;
  }
}

/** Show a decision of before with its receipt. */
async function explain(id, decision, answer) {
  try {
    const stored = await read(`/v1/decisions/${encodeURIComponent(id)}`);
    if (stored.receipt?.options) decision.show(stored.receipt);
    put(answer,
      el("p", { class: "soft small" }, `Decision ${stored.id}, ${stored.outcome}.`),
      stored.instruction === null ? el("p", { class: "soft" }, "Texts are not kept on this server.") : el("blockquote", {}, stored.instruction),
      stored.response === null ? null : el("div", { class: "answer" }, stored.response),
      attemptsOf(stored.attempts), stored.expert === null ? null : judgeOf(stored.id), nearestOf(stored.id));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    showProblem(answer, problem);
  }
}

/** Make the list of training instructions like the one decided on, asked for when it is opened. */
function nearestOf(decision) {
  return folded("Training instructions most like this one", () => {
    const box = el("div", {}, el("p", { class: "soft" }, "Looking …"));
    read(`/v1/page/nearest/${encodeURIComponent(decision)}`).then(
      ({ nearest }) => put(box, nearest.length ? el("ul", { class: "nearest" }, nearest.map(nearRow)) : el("p", { class: "soft" }, "None are known for it.")),
      (problem) => put(box, el("p", { class: "soft" }, problem.message)),
    );
    return box;
  });
}

function nearRow(one) {
  const best = Object.entries(one.scores).sort(([, left], [, right]) => right - left).filter(([, value]) => value > 0).slice(0, 3);
  return el("li", {}, el("p", {}, one.text), el("p", { class: "soft small" },
    `${one.category ? `${one.category} · ` : ""}similarity ${share(one.similarity, 0)} · ` +
    (best.length ? best.map(([name, value]) => `${name} ${score(value)}`).join(", ") : "nobody scored")));
}

/** Make the field an instruction is typed into; `body()` is what is sent of it. */
export function inputOf(label, placeholder, changed) {
  const id = newId("input");
  const note = el("p", { class: "soft small", id: `${id}-note`, role: "status" });
  const plain = el("input", { type: "checkbox", change: () => read_() });
  const plainLabel = el("label", { class: "small", hidden: true }, plain, " send it as plain text instead");
  const area = el("textarea", { id, rows: "3", placeholder, spellcheck: "false", "aria-describedby": `${id}-note`, input: () => read_() });
  let given = conversationOf("");
  function read_() {
    given = conversationOf(area.value, plain.checked);
    note.textContent = given.note;
    plainLabel.hidden = !given.isChat && !plain.checked;
    changed();
  }
  return {
    node: el("div", { class: "field" }, el("label", { for: id }, label), area, el("div", { class: "row" }, note, plainLabel)),
    area,
    text: () => area.value,
    body: () => given.body,
    set(text) {
      area.value = text;
      read_();
    },
  };
}

/** Make the place of a decision: who, why, the chart and the receipt. */
function decisionPanel() {
  const node = el("div", { class: "decision" });
  const chart = decisionChart();
  const who = el("p", { class: "who" });
  const why = el("p", { class: "why" });
  const rest = el("div");
  return {
    node,
    empty() {
      put(node, el("p", { class: "soft empty" }, "Nothing to decide yet. As you type, every expert stands here by the score it is expected to reach and what it is expected to cost, and you see who would be chosen and why."));
    },
    fail(problem) {
      put(node, el("div", { class: "notice bad" }, inWords(problem)));
    },
    show(receipt) {
      const isOpen = rest.querySelector("details")?.open ?? false;
      put(who, receipt.chosen);
      put(why, receipt.reason);
      put(rest, receiptOf(receipt));
      if (isOpen) rest.querySelector("details").open = true;
      if (!chart.node.isConnected || !node.contains(who)) put(node, who, why, chart.node, rest);
      chart.node.hidden = receipt.options.length < 2;
      chart.show(receipt);
    },
  };
}

function emptyAnswer(box, choose) {
  put(box, el("p", { class: "soft empty" }, "The answer comes in here, with what it really cost and every call that was made for it."),
    el("p", { class: "soft small" }, "For a start:"),
    el("ul", { class: "examples" }, EXAMPLES.map((text) => el("li", {}, el("button", { type: "button", click: () => choose(text) }, text)))));
}
