// What was typed → the messages that are sent: an instruction as it is, or a chat that was pasted as JSON.

const NOT_PASSED = new Set(["messages", "model", "stream", "stream_options", "n"]);

/** Return `{body, note}` of a text; `note` says in words what it was taken for, "" for a plain instruction. */
export function conversationOf(text, isPlain = false) {
  const plain = { messages: [{ role: "user", content: text }] };
  if (isPlain || !/^\s*[[{]/.test(text)) return { body: plain, note: "", isChat: false };
  let value;
  try {
    value = JSON.parse(text);
  } catch (problem) {
    if (!text.includes('"role"')) return { body: plain, note: "", isChat: false };
    return { body: plain, note: `It looks like a chat, but is no JSON (${problem.message}); sent as text.`, isChat: false };
  }
  const messages = Array.isArray(value) ? value : value?.messages;
  if (!Array.isArray(messages) || !messages.length || !messages.every((one) => typeof one?.role === "string")) {
    return { body: plain, note: "", isChat: false };
  }
  const more = Array.isArray(value) ? {} : Object.fromEntries(Object.entries(value).filter(([name]) => !NOT_PASSED.has(name)));
  const names = Object.keys(more);
  const note =
    `Read as a chat of ${messages.length} message${messages.length === 1 ? "" : "s"}` +
    (names.length ? ` with ${names.join(", ")}.` : ".");
  return { body: { ...more, messages }, note, isChat: true };
}
