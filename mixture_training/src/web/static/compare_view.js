// Several experts' answers side by side, nameless until one is voted for.

import { newEvent, Problem, send } from "/static/api.js";
import { answerInto, inWords, isDeclined } from "/static/answer.js";
import { el, newId, put } from "/static/dom.js";
import { costInWords, duration, listed, score } from "/static/format.js";
import { inputOf } from "/static/try_view.js";

const LETTERS = "ABCD";

/** Fill the view. */
export function compareView(section, router) {
  const input = inputOf("Instruction", "What should the experts answer?", () => {});
  const usable = router.experts.filter((one) => one.is_reachable && one.is_allowed);
  const how = chooser(usable);
  const stage = el("div", { class: "stage" });
  const go = el("button", { type: "submit", class: "primary" }, "Ask them");
  const form = el("form", { class: "card ask", submit: (event) => { event.preventDefault(); run(); } },
    input.node, el("div", { class: "controls" }, how.node, el("div", { class: "row end" }, el("span", { class: "soft small keys" }, "Ctrl + Enter"), go)));
  put(section, el("h1", { id: "compare-title", class: "hidden-text" }, "Compare experts"), form, stage);
  empty(stage, usable.length);
  input.area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  let running = null;
  async function run() {
    if (!input.text().trim()) {
      input.area.focus();
      return;
    }
    running?.abort();
    const own = (running = new AbortController());
    go.disabled = true;
    put(stage, el("p", { class: "soft", role: "status" }, "Choosing whom to ask …"));
    try {
      const receipt = await send("/v1/route", { ...input.body(), model: "moe-quality" }, own.signal);
      const names = how.names(receipt);
      if (names.length < 2) {
        put(stage, el("p", { class: "notice" }, "Choose at least two experts that can answer this."));
        return;
      }
      await compare(stage, shuffled(names), receipt, input.body(), own);
    } catch (problem) {
      if (problem instanceof Problem) put(stage, el("p", { class: "notice bad" }, inWords(problem)));
      else if (problem.name !== "AbortError") throw problem;
    } finally {
      if (own === running) go.disabled = false;
    }
  }
  return { show() {}, hide() {} };
}

function empty(stage, count) {
  put(stage, el("p", { class: "soft empty card" }, count < 2
    ? "There is only one expert that can be reached, so there is nothing to compare."
    : "The answers appear side by side without names, in an order drawn by chance. Your vote is kept as feedback, and the names are shown after it."));
}

/** Make the choice of whom to ask: the most promising ones, or those that are ticked. */
function chooser(usable) {
  const id = newId("how");
  const boxes = usable.map((one) => el("input", { type: "checkbox", value: one.name }));
  const list = el("fieldset", { class: "ticks", hidden: true }, el("legend", {}, "Whom to ask (2 to 4)"),
    boxes.map((box) => el("label", {}, box, " ", box.value)));
  const select = el("select", { id, change: () => (list.hidden = select.value !== "chosen") },
    [2, 3, 4].filter((count) => count <= usable.length).map((count) =>
      el("option", { value: String(count) }, `The ${["two", "three", "four"][count - 2]} most promising`)),
    el("option", { value: "chosen" }, "Those I tick"));
  list.addEventListener("change", () => {
    const ticked = boxes.filter((box) => box.checked).length;
    for (const box of boxes) box.disabled = !box.checked && ticked >= LETTERS.length;
  });
  return {
    node: el("div", { class: "policy" }, el("label", { for: id }, "Whom"), select, list),
    names(receipt) {
      if (select.value === "chosen") return boxes.filter((box) => box.checked).map((box) => box.value);
      const able = receipt.options.filter((one) => one.excluded === null).map((one) => one.expert);
      return [receipt.chosen, ...able.filter((name) => name !== receipt.chosen)].slice(0, Number(select.value));
    },
  };
}

async function compare(stage, names, receipt, body, own) {
  const entries = names.map((name, place) => {
    const letter = LETTERS[place];
    const title = newId("answer");
    const entry = { name, letter, result: null };
    entry.text = el("div", { class: "answer", "aria-live": "polite", tabindex: "0", role: "region", "aria-label": `Answer ${letter}` });
    entry.head = el("h2", { id: title }, `Answer ${letter}`);
    entry.foot = el("div", { class: "soft small" }, "…");
    entry.card = el("article", { class: "card", "aria-labelledby": title }, entry.head, entry.text, entry.foot);
    return entry;
  });
  const vote = el("div", { class: "vote" }, el("p", { class: "soft", role: "status" }, `Waiting for ${entries.length} answers …`));
  put(stage, el("div", { class: `versus of-${entries.length}` }, entries.map((entry) => entry.card)), vote);
  await Promise.all(entries.map(async (entry) => {
    entry.result = await answerInto(entry.text, { ...body, model: entry.name }, own.signal);
    if (!entry.text.textContent) {
      const why = entry.result.problem ? "It did not answer." : isDeclined(entry.result) ? "It declined: it cannot do this." : "The answer is empty.";
      entry.text.append(el("span", { class: "soft" }, why));
    }
    entry.foot.textContent = entry.result.problem ? "Nothing to vote for here." : "Complete.";
  }));
  if (own.signal.aborted) return;
  const whole = entries.filter((entry) => !entry.result.problem);
  if (whole.length < 2) {
    reveal(entries, receipt);
    put(vote, el("p", { class: "notice" }, `${whole.length ? "Only one of them" : "None of them"} answered, so there is nothing to vote on.`));
    return;
  }
  ballot(vote, entries, whole, receipt);
}

function ballot(vote, entries, whole, receipt) {
  const isPair = whole.length === 2;
  const said = el("p", { class: "soft", role: "status" }, "Which is better? Names are shown after the vote.");
  const choices = [
    ...whole.map((entry) => [`${entry.letter} is ${isPair ? "better" : "the best"}`, () => preferred(entry, whole)]),
    ["A tie", () => scored(whole, 0.5)],
    [isPair ? "Both are bad" : "All are bad", () => scored(whole, 0)],
  ];
  const event = newEvent();
  const buttons = choices.map(([name, judgements]) => el("button", { type: "button", class: "large", "aria-pressed": "false",
    click: async ({ currentTarget }) => {
      for (const button of buttons) button.disabled = true;
      try {
        for (const [number, body] of judgements().entries()) await send("/v1/feedback", { ...body, event: `${event}-${number}` });
        currentTarget.setAttribute("aria-pressed", "true");
        reveal(entries, receipt);
        said.textContent = `Recorded: ${name}. ${listed(entries.map((entry) => `${entry.letter} was ${entry.name}`))}.`;
        entries[0].head.scrollIntoView({ block: "nearest" });
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        for (const button of buttons) button.disabled = false;
        said.textContent = `Not recorded: ${problem.message}`;
      }
    } }, name));
  put(vote, said, el("div", { class: "row", role: "group", "aria-label": "Vote" }, buttons));
}

function preferred(best, whole) {
  return whole.filter((entry) => entry !== best).map((entry) => ({ preference: { better: best.result.decision, worse: entry.result.decision } }));
}

function scored(whole, value) {
  return whole.map((entry) => ({ id: entry.result.decision, score: value }));
}

function reveal(entries, receipt) {
  for (const entry of entries) {
    const option = receipt.options.find((one) => one.expert === entry.name);
    put(entry.head, entry.name, " ", el("small", { class: "soft" }, `answer ${entry.letter}`));
    const { moe, totalS, problem } = entry.result;
    put(entry.foot, problem ? inWords(problem) : `${costInWords(moe?.cost_usd)} · ${duration(totalS)}`,
      option ? ` · expected score ${score(option.expected_score)}` : "", entry.name === receipt.chosen ? el("span", { class: "tag" }, "the router's choice") : null);
  }
}

/** Return `values` in an order drawn by chance. */
export function shuffled(values) {
  const drawn = values.map((value) => [crypto.getRandomValues(new Uint32Array(1))[0], value]);
  return drawn.sort(([one], [other]) => one - other).map(([, value]) => value);
}
