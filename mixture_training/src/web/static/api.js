// Asks the server. The key is kept in this tab's session and travels in a header, never in an address.

import { eventsOf } from "/static/sse.js";

const KEY = "moe-key";

/** Tells `key-wanted` (with a `detail` that says whether one was refused), `key-changed`, `away` and `back`. */
export const notices = new EventTarget();

let isAway = false;

function tell(name, detail) {
  notices.dispatchEvent(new CustomEvent(name, { detail }));
}

/** What the server refused, or why it was not reached; `status` 0 for the latter. */
export class Problem extends Error {
  constructor(status, message, { code = "", decision = null } = {}) {
    super(message);
    Object.assign(this, { status, code, decision });
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set(secret) {
    sessionStorage.setItem(KEY, secret);
    tell("key-changed");
  },
  forget() {
    sessionStorage.removeItem(KEY);
    tell("key-changed");
  },
};

async function fetched(path, { method = "GET", body, signal } = {}) {
  const headers = {};
  const secret = key.get();
  if (secret) headers.Authorization = `Bearer ${secret}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
    });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    if (!isAway) tell("away");
    isAway = true;
    throw new Problem(0, "The server cannot be reached.");
  }
  if (isAway) tell("back");
  isAway = false;
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401) {
    if (secret === key.get()) {
      sessionStorage.removeItem(KEY);
      tell("key-wanted", { isRefused: Boolean(secret) });
    }
  }
  throw problem;
}

async function problemOf(response) {
  try {
    const { error } = await response.json();
    return new Problem(response.status, String(error.message), { code: error.code, decision: error.decision ?? null });
  } catch {
    return new Problem(response.status, `The server answered with status ${response.status}.`);
  }
}

/** Return what is at `path`. */
export async function read(path, signal) {
  return (await fetched(path, { signal })).json();
}

/** Send `body` and return what the server says. */
export async function send(path, body, signal) {
  return (await fetched(path, { method: "POST", body, signal })).json();
}

/** Yield the chunks of a streamed answer; a stream that breaks off ends in a Problem. */
export async function* streamed(body, signal) {
  const response = await fetched("/v1/chat/completions", { method: "POST", body: { ...body, stream: true }, signal });
  let isWhole = false;
  try {
    for await (const data of eventsOf(bytesOf(response.body))) {
      if (data === "[DONE]") {
        isWhole = true;
        break;
      }
      const chunk = JSON.parse(data);
      if (chunk.error) {
        throw new Problem(502, String(chunk.error.message), {
          code: chunk.error.code,
          decision: chunk.error.decision ?? response.headers.get("x-moe-decision"),
        });
      }
      yield chunk;
    }
  } catch (problem) {
    if (problem instanceof Problem || problem.name === "AbortError") throw problem;
    throw new Problem(0, "The connection broke in the middle of the answer.");
  }
  if (!isWhole) throw new Problem(0, "The answer ended before it was whole.");
}

async function* bytesOf(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Return a name for one judgement: sent twice, it counts once. */
export function newEvent() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
