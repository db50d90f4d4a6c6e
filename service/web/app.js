/**
 * Puts the page together: what the user types and chooses becomes requests, what the server sends is shown.
 *
 *     SourcePane, LanguageBar, quality -> update() -> LiveTranslation -> client -> ResultPane
 *
 * Knows which part tells which; the parts do not know each other.
 */

import { detect, fetchJson, translate } from "./client.js";
import { LanguageBar } from "./language_bar.js";
import { DETECT } from "./languages.js";
import { LiveTranslation } from "./live_translation.js";
import { recallChoice, rememberChoice } from "./memory.js";
import { Problem, tooLong } from "./problem.js";
import { ResultPane } from "./result_pane.js";
import { SourcePane } from "./source_pane.js";

const CONNECT_PAUSE_SECONDS = 3;
const quality = document.getElementById("quality");

const result = new ResultPane({ onStart: showDetected, onAgain: again });
const translation = new LiveTranslation(translateOrRetarget, result);
const bar = new LanguageBar({ onChange: () => update(0), onSwap: swapTexts });
const source = new SourcePane({ onText: update });
let connecting = 0;

/** Translate what stands there as it is chosen now, after a pause of `delayMs`. */
function update(delayMs) {
  if (!bar.isReady) return; // connect() comes back here
  source.language = bar.source;
  result.language = bar.target;
  translation.stop();
  if (source.text.trim() === "") {
    bar.showDetected(null);
    result.clear();
  } else if (source.isTooLong) {
    result.failed(tooLong(), null);
  } else {
    translation.schedule(request(), delayMs);
  }
}

function request() {
  const languages = bar.source === DETECT ? { target: bar.target } : { source: bar.source, target: bar.target };
  return { text: source.text, ...languages, strategy: quality.querySelector(":checked").value };
}

function showDetected(start) {
  if (bar.source === DETECT) bar.showDetected(start.source);
}

/** A text that is already in the target language is translated into another one rather than refused. */
async function* translateOrRetarget(request, signal) {
  if (await retargetsAtOnce(request, signal)) request = { ...request, target: bar.target };
  try {
    yield* translate(request, signal);
  } catch (problem) {
    const found = problem.faults?.find((fault) => fault.field === "source")?.value;
    if (!found || !retarget(found, signal)) throw problem;
    yield* translate({ ...request, target: bar.target }, signal);
  }
}

/**
 * Short texts are never refused: of the languages that go into the target, the server takes the likeliest, and
 * would call "Hello world." German where that goes into English. So the target itself is asked for first.
 */
async function retargetsAtOnce(request, signal) {
  if (request.source !== undefined || !bar.canRetarget) return false;
  const found = await detect(request.text, signal);
  return found === request.target && retarget(found, signal);
}

function retarget(found, signal) {
  if (signal.aborted || !bar.retarget(found)) return false;
  result.language = bar.target;
  return true;
}

function swapTexts() {
  if (result.text) source.text = result.text;
  source.focus();
  update(0);
}

function again() {
  if (bar.isReady) update(0); // with what stands there now, whatever was sent last
  else connect();
}

/** Ask what the server offers, until it answers: it may still be reading its models. */
async function connect() {
  clearTimeout(connecting);
  try {
    const [{ languages }, limits] = await Promise.all([fetchJson("v1/languages"), fetchJson("web/limits.json")]);
    source.limit = limits.max_text_characters;
    bar.fill(languages);
    result.clear();
    update(0);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const pauseSeconds = problem.retryAfterSeconds ?? CONNECT_PAUSE_SECONDS;
    result.failed(problem, pauseSeconds);
    connecting = setTimeout(connect, pauseSeconds * 1000);
  }
}

function chooseQuality() {
  const last = quality.querySelector(`[value="${recallChoice("strategy") === "greedy" ? "greedy" : "beam"}"]`);
  last.checked = true;
  quality.addEventListener("change", ({ target }) => {
    rememberChoice("strategy", target.value);
    update(0);
  });
}

chooseQuality();
connect();
