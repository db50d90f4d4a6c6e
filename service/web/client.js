/**
 * The server's HTTP interface as the page uses it.
 *
 * Knows addresses, bodies and headers; must not know the page. Addresses are relative, so
 * that the page also works behind a proxy that serves it under a prefix.
 */

import { readEvents } from "./event_stream.js";
import { Problem, brokenOff, unreachable } from "./problem.js";

/** The JSON at an address. Throws Problem, or AbortError when `signal` says so. */
export async function fetchJson(path, signal, options = {}) {
  const response = await send(path, { ...options, signal });
  try {
    return await response.json();
  } catch (error) {
    throw signal?.aborted ? error : brokenOff();
  }
}

/** The likeliest language of all that are known, served or not; null for a text without letters. Throws as above. */
export async function detect(text, signal) {
  const { detections } = await fetchJson("v1/detect", signal, post({ text }, "application/json"));
  return detections[0].language;
}

/**
 * The events of one streamed translation, as `{ event, data }` with `data` read from JSON; ends after `done`.
 * Throws Problem, or AbortError when `signal` says so; either also in the middle of the stream.
 */
export async function* translate(request, signal) {
  const response = await send("v1/translate", { ...post({ ...request, stream: true }, "text/event-stream"), signal });
  try {
    for await (const { event, data } of readEvents(response.body)) {
      const content = JSON.parse(data);
      if (event === "error") throw new Problem(content);
      yield { event, data: content };
      if (event === "done") return;
    }
  } catch (error) {
    throw error instanceof Problem || signal.aborted ? error : brokenOff();
  }
  throw brokenOff();
}

const post = (body, accept) => ({
  method: "POST",
  headers: { "content-type": "application/json", accept: `${accept}, application/problem+json` },
  body: JSON.stringify(body),
});

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    throw options.signal?.aborted ? error : unreachable();
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** Also for answers that are not ours: a proxy's error page has a status and perhaps a Retry-After. */
async function problemOf(response) {
  const fallback = {
    status: response.status,
    title: `The server answered ${response.status} ${response.statusText}`.trim(),
    retry_after_seconds: retryAfterSeconds(response.headers.get("retry-after")),
  };
  const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json");
  const fields = isProblem ? await response.json().catch(() => ({})) : {};
  return new Problem({ ...fallback, ...fields });
}

/** Retry-After is a number of seconds or a date (RFC 9110, section 10.2.3); null for neither. */
function retryAfterSeconds(value) {
  if (value === null) return null;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : null;
}
