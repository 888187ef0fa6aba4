// One answer as it comes in: its text, then what it cost and how it was reached.

import { newEvent, Problem, send, streamed } from "/static/api.js";
import { el, put } from "/static/dom.js";
import { costInWords, duration, score } from "/static/format.js";

/**
 * Stream an answer into `text`, an element, and return what became of it:
 * `{problem, moe, decision, expert, firstS, totalS, pieces}`; `problem` is null where it is whole.
 */
export async function answerInto(text, body, signal, { began = () => {} } = {}) {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const result = { problem: null, moe: null, decision: null, expert: null, firstS: null, totalS: null, finish: null };
  const calls = new Map();
  text.setAttribute("aria-busy", "true");
  const add = (piece) => {
    if (result.firstS === null) result.firstS = seconds();
    text.append(piece);
  };
  try {
    for await (const chunk of streamed(body, signal)) {
      if (result.expert === null) {
        result.expert = chunk.model;
        began(chunk.model);
      }
      if (chunk.moe?.resumed) {
        result.expert = chunk.moe.resumed.expert;
        add(el("span", { class: "seam" }, `\n${chunk.moe.resumed.after} broke off; ${chunk.moe.resumed.expert} goes on.\n`));
      } else if (chunk.moe) {
        result.moe = chunk.moe;
        result.decision = chunk.moe.decision;
        result.expert = chunk.moe.expert;
      }
      const choice = chunk.choices?.[0];
      if (choice?.delta?.content) add(choice.delta.content);
      for (const call of choice?.delta?.tool_calls ?? []) gather(calls, call);
      if (choice?.finish_reason) result.finish = choice.finish_reason;
    }
  } catch (problem) {
    if (problem.name === "AbortError") result.problem = new Problem(0, "Stopped.", { code: "stopped" });
    else if (problem instanceof Problem) result.problem = problem;
    else throw problem;
    result.decision ??= result.problem.decision;
  }
  for (const call of calls.values()) add(el("code", { class: "call" }, `${call.name}(${call.arguments})`));
  result.totalS = seconds();
  text.setAttribute("aria-busy", "false");
  return result;
}

function gather(calls, { index = 0, function: part = {} }) {
  const call = calls.get(index) ?? { name: "", arguments: "" };
  call.name += part.name ?? "";
  call.arguments += part.arguments ?? "";
  calls.set(index, call);
}

/** Return what happened to a request that was not answered, and what to do, in words. */
export function inWords(problem) {
  if (problem.code === "stopped") return "Stopped. What had come in until then stays.";
  if (problem.status === 0) return `${problem.message} Is it still running? Nothing was lost here; ask again.`;
  if (problem.status === 401) return "The server refused the key. Give another one with “Key”.";
  if (problem.code === "insufficient_quota") return `${problem.message} Ask whoever runs the server for more.`;
  if (problem.status === 429) return `${problem.message} Wait a moment and ask again.`;
  return problem.message;
}

/** Make the line of calls that were made, in order. */
export function attemptsOf(attempts) {
  if (!attempts.length) return null;
  return el(
    "ol",
    { class: "attempts", "aria-label": "Calls that were made" },
    attempts.map((one) =>
      el(
        "li",
        { class: one.outcome === "ok" ? "ok" : "not-ok" },
        el("b", {}, one.expert),
        ` ${one.outcome === "ok" ? "answered" : outcome(one.outcome)} in ${duration(one.latency_s)}, ${costInWords(one.cost_usd)}`,
      ),
    ),
  );
}

function outcome(kind) {
  return kind === "declined" ? "declined" : `failed (${kind.replaceAll("_", " ")})`;
}

/** Make the buttons that judge an answer. */
export function judgeOf(decision) {
  const said = el("p", { class: "soft small", role: "status" });
  const event = newEvent();
  const judge = async (body, words) => {
    for (const button of buttons) button.disabled = true;
    try {
      await send("/v1/feedback", { id: decision, event, ...body });
      said.textContent = words;
      return true;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      for (const button of buttons) button.disabled = false;
      said.textContent = `Not recorded: ${problem.message}`;
      return false;
    }
  };
  const thumb = (value, name, words) =>
    el("button", { type: "button", "aria-pressed": "false", class: "thumb",
      click: async ({ currentTarget }) => {
        if (await judge({ score: value }, words)) currentTarget.setAttribute("aria-pressed", "true");
      } }, name);
  const correction = el("textarea", { rows: "2", maxlength: "20000" });
  const buttons = [thumb(1, "Good answer", "Recorded: good. The router learns from it at the next update."),
    thumb(0, "Bad answer", "Recorded: bad. The router learns from it at the next update.")];
  const form = el("form", { submit: async (event_) => {
    event_.preventDefault();
    if (correction.value.trim()) await judge({ correction: correction.value }, "Recorded: not right, with what would have been.");
  } }, el("label", {}, "What would have been right?", correction), el("button", { type: "submit" }, "Send the correction"));
  buttons.push(form.querySelector("button"));
  return el("div", { class: "judge" }, el("div", { class: "row" }, buttons.slice(0, 2),
    el("details", { class: "inline" }, el("summary", {}, "Correct it"), form)), said);
}

/** Return whether everybody who was asked declined: tools do where they cannot. */
export function isDeclined(result) {
  const calls = result.moe?.attempts ?? [];
  return calls.length > 0 && calls.every((one) => one.outcome === "declined");
}

/** Return the figures under an answer. */
export function outcomeTiles(result) {
  const moe = result.moe;
  const calls = moe?.attempts ?? [];
  return [
    isDeclined(result) ? ["Answered by", "nobody", "all declined"] : ["Answered by", result.expert ?? "nobody", fallbackWords(calls)],
    ["Cost", moe ? costInWords(moe.cost_usd) : "unknown", moe && calls.length > 1 ? `of all ${calls.length} calls` : "measured"],
    ["Time", duration(result.totalS), result.firstS === null ? null : `first piece after ${duration(result.firstS)}`],
    ["Score expected", moe ? score(moe.expected_score) : "–", moe?.is_cached ? "answer from the cache" : "judge it below"],
  ];
}

function fallbackWords(calls) {
  const failed = calls.filter((one) => one.outcome !== "ok").length;
  if (!failed) return "the first choice";
  return `after ${failed} that did not`;
}

/** Put a notice that something went wrong into `box`. */
export function showProblem(box, problem) {
  put(box, el("div", { class: "notice bad" }, el("p", {}, inWords(problem)),
    problem.decision ? el("p", { class: "soft small" }, `Remembered as decision ${problem.decision}.`) : null));
}
