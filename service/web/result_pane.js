/**
 * The translation as it arrives, what it cost, and what went wrong.
 *
 * Knows the elements of the target pane and the events of a stream; must not know who sends them. Is the `view`
 * of `LiveTranslation`.
 */

import { copyText } from "./clipboard.js";

const CONFIRMATION_MS = 2000;
const number = new Intl.NumberFormat("en");

const element = (id) => document.getElementById(id);
const count = (amount, noun) => `${number.format(amount)} ${noun}${amount === 1 ? "" : "s"}`;
const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

export class ResultPane {
  #pane = document.querySelector(".target");
  #result = element("result");
  #status = element("status");
  #problem = element("problem");
  #copy = element("copy");
  #cut = element("cut");
  #text = this.#result.appendChild(document.createTextNode(""));
  #hasBegun = false;
  #onStart;
  #model = "";
  #clock = 0;
  #confirmation = 0;

  /** `onStart(data)` hears of each stream's `start`; `onAgain()` is called for the button "Try again". */
  constructor({ onStart, onAgain }) {
    this.#onStart = onStart;
    element("again").addEventListener("click", onAgain);
    this.#copy.addEventListener("click", () => this.#copyResult());
  }

  get text() {
    return this.#text.data;
  }

  set language(code) {
    this.#result.lang = code;
  }

  /** Nothing to translate. */
  clear() {
    this.#replaceText();
    this.#settle("");
    this.#status.textContent = "";
  }

  /** The text has changed: what stands here belongs to the old one until the new one arrives. */
  waiting() {
    this.#settle("old");
  }

  began() {
    this.#settle("busy old");
    this.#hasBegun = false;
    this.#status.textContent = "Translating…";
  }

  event({ event, data }) {
    if (event === "start") this.#start(data);
    if (event === "delta") this.#append(data.text);
    if (event === "segment" && data.finish_reason === "length") this.#cut.hidden = false;
    if (event === "done") this.#showUsage(data);
  }

  finished() {
    if (!this.#hasBegun) this.#replaceText();
    this.#settle("");
  }

  failed(problem, pauseSeconds) {
    this.#settle("old");
    this.#status.textContent = "";
    this.#problem.hidden = false;
    element("problem-title").textContent = problem.title;
    element("problem-detail").textContent = problem.detail;
    element("problem-faults").replaceChildren(...problem.faults.map(faultItem));
    element("again").hidden = problem.isOfText;
    this.#countDown(problem, pauseSeconds);
  }

  #start(data) {
    this.#model = data.model ?? "";
    this.#onStart(data);
  }

  #append(text) {
    if (!this.#hasBegun) this.#beginText();
    this.#text.appendData(text);
    this.#copy.disabled = false;
  }

  /** The pane keeps its height while the new text grows in the place of the old, so that the page does not jump. */
  #beginText() {
    this.#hasBegun = true;
    this.#result.style.minHeight = `${this.#result.offsetHeight}px`;
    this.#pane.classList.remove("old");
    this.#replaceText();
  }

  #replaceText() {
    this.#text.data = "";
    this.#cut.hidden = true;
  }

  /** `state`: any of `busy` (a stream is read) and `old` (what is shown is not of the present text). */
  #settle(state) {
    clearInterval(this.#clock);
    const isBusy = state.includes("busy");
    this.#pane.className = `pane target ${state}`;
    this.#result.ariaBusy = String(isBusy);
    if (!isBusy) this.#result.style.minHeight = "";
    this.#problem.hidden = true;
    this.#copy.disabled = this.text === "";
  }

  #showUsage({ usage, timings }) {
    const parts = [this.#model, count(usage.target_tokens, "token"), duration(timings.total_ms)];
    this.#status.textContent = parts.filter(Boolean).join(" · ");
  }

  #countDown(problem, pauseSeconds) {
    const id = problem.requestId ? `Request ${problem.requestId}` : "";
    const end = pauseSeconds === null ? null : performance.now() + pauseSeconds * 1000;
    const show = () => {
      const left = end === null ? null : Math.max(1, Math.ceil((end - performance.now()) / 1000));
      const next = left === null ? "" : `Trying again in ${count(left, "second")}.`;
      element("problem-more").textContent = [next, id].filter(Boolean).join(" ");
    };
    show();
    if (end !== null) this.#clock = setInterval(show, 1000);
  }

  async #copyResult() {
    const isCopied = await copyText(this.text);
    const label = element("copy-label");
    label.textContent = isCopied ? "Copied" : "Not allowed";
    element("announcement").textContent = isCopied ? "Translation copied" : "The browser did not allow copying";
    this.#copy.classList.toggle("copied", isCopied);
    clearTimeout(this.#confirmation);
    this.#confirmation = setTimeout(() => {
      label.textContent = "Copy";
      element("announcement").textContent = "";
      this.#copy.classList.remove("copied");
    }, CONFIRMATION_MS);
  }
}

function faultItem({ field, bound, value }) {
  const item = document.createElement("li");
  const came = value === null || value === undefined ? "" : `, not ${value}`;
  item.textContent = `${field} must be ${bound}${came}`;
  return item;
}
