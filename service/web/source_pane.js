/**
 * The text to translate: typing, clearing, counting.
 *
 * Knows the elements of the source pane; must not know translations. `onText(delayMs)` is called when the text
 * has changed and should be translated after a pause of that length, or at once.
 */

import { recallText, rememberText } from "./memory.js";

const PAUSE_MS = 400;
// From here on a smaller type shows more of the text.
const LONG_CHARACTERS = 600;
const number = new Intl.NumberFormat("en");

export class SourcePane {
  #area = document.getElementById("source-text");
  #clear = document.getElementById("clear");
  #count = document.getElementById("count");
  #limit = Infinity;
  #onText;

  constructor({ onText }) {
    this.#onText = onText;
    this.#area.value = recallText();
    this.#area.addEventListener("input", (event) => this.#changed(event));
    // Until an input method has composed a character, what stands there is not meant yet.
    this.#area.addEventListener("compositionend", (event) => this.#changed(event));
    this.#area.addEventListener("keydown", (event) => this.#pressed(event));
    this.#clear.addEventListener("click", () => this.#empty());
    this.#show();
  }

  get text() {
    return this.#area.value;
  }

  set text(text) {
    this.#area.value = text;
    this.#show();
  }

  set language(code) {
    this.#area.lang = code;
  }

  /** Characters that the server takes in one request. */
  set limit(characters) {
    this.#limit = characters;
    this.#show();
  }

  get isTooLong() {
    return countCharacters(this.text) > this.#limit;
  }

  focus() {
    this.#area.focus();
  }

  #changed(event) {
    this.#show();
    if (event.isComposing) return;
    this.#onText(event.inputType === "insertFromPaste" ? 0 : PAUSE_MS);
  }

  #pressed(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    this.#onText(0);
  }

  /** As the user would do it, so that undo brings the text back. */
  #empty() {
    this.#area.focus();
    this.#area.select();
    document.execCommand("delete");
  }

  #show() {
    rememberText(this.text);
    const length = countCharacters(this.text);
    const characters = length === 1 && this.#limit === Infinity ? "character" : "characters";
    const limit = this.#limit === Infinity ? "" : ` of ${number.format(this.#limit)}`;
    this.#count.textContent = `${number.format(length)}${limit} ${characters}`;
    this.#count.classList.toggle("over", length > this.#limit);
    this.#area.ariaInvalid = String(length > this.#limit);
    this.#clear.hidden = length === 0;
    document.body.classList.toggle("long", length > LONG_CHARACTERS);
  }
}

/** Code points, as the server counts: a pair of surrogates is one character. */
export function countCharacters(text) {
  let pairs = 0;
  for (let index = 1; index < text.length; index += 1) {
    const isLow = (text.charCodeAt(index) & 0xfc00) === 0xdc00;
    if (isLow && (text.charCodeAt(index - 1) & 0xfc00) === 0xd800) pairs += 1;
  }
  return text.length - pairs;
}
