/**
 * Server-sent events from bytes, as the HTML standard (section 9.2, "parsing an event stream") defines them.
 *
 * Knows the format; must not know what the events mean. Written by hand because the browser's EventSource can
 * only send GET requests, and the text to translate belongs in a request's body.
 */

const LINE_END = /\r\n|\n|\r/;

/** Takes bytes cut at any place, also within a character or a line end; gives whole events. */
export class EventStreamParser {
  #decoder = new TextDecoder(); // removes a byte order mark, keeps the start of a cut character
  #unfinishedLine = "";
  #endedOnReturn = false;
  #event = "";
  #data = [];

  /** The events that `bytes` completes, in order: `{ event, data }`. */
  push(bytes) {
    const lines = this.#lines(this.#decoder.decode(bytes, { stream: true }));
    return lines.map((line) => this.#take(line)).filter((event) => event !== null);
  }

  #lines(text) {
    if (text === "") return [];
    // The second half of a CRLF whose first half has already ended the line.
    const rest = this.#endedOnReturn && text.startsWith("\n") ? text.slice(1) : text;
    this.#endedOnReturn = text.endsWith("\r");
    const lines = (this.#unfinishedLine + rest).split(LINE_END);
    this.#unfinishedLine = lines.pop();
    return lines;
  }

  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null; // a comment: the server shows that it is still there
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#event = value;
    if (name === "data") this.#data.push(value);
    return null;
  }

  #dispatch() {
    const event = this.#data.length ? { event: this.#event || "message", data: this.#data.join("\n") } : null;
    this.#event = "";
    this.#data = [];
    return event;
  }
}

/** The events of a response's body while they arrive; the body is let go when the caller stops reading. */
export async function* readEvents(body) {
  const parser = new EventStreamParser();
  const reader = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      yield* parser.push(part.value);
    }
  } finally {
    // Rejects when the request was aborted or its connection lost: then there is nothing left to let go.
    await reader.cancel().catch(() => {});
  }
}
