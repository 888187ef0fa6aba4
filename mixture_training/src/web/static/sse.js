// Server-sent events out of the bytes of an answer, however they are cut.

/** Yield the data of each event in `chunks`, an async iterable of Uint8Array. */
export async function* eventsOf(chunks) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const events = rest.split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) {
      const data = dataOf(event);
      if (data !== null) yield data;
    }
  }
  const data = dataOf(rest + decoder.decode());
  if (data !== null) yield data;
}

function dataOf(event) {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  return lines.length ? lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n") : null;
}
