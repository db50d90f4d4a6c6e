/**
 * The two language selectors and the swap button.
 *
 * Knows these three elements and `Languages`; must not know texts or the server. `onChange()` is called when
 * the user has chosen; `onSwap()` when the languages have been swapped.
 */

import { DETECT, Languages, choose } from "./languages.js";
import { recallChoice, rememberChoice } from "./memory.js";

export class LanguageBar {
  #source = document.getElementById("source-language");
  #target = document.getElementById("target-language");
  #swap = document.getElementById("swap");
  #languages = new Languages([]);
  #detected = null;

  constructor({ onChange, onSwap }) {
    this.#source.addEventListener("change", () => this.#changeSource(onChange));
    this.#target.addEventListener("change", () => this.#changed(onChange));
    this.#swap.addEventListener("click", () => this.#exchange(onSwap));
  }

  get source() {
    return this.#source.value;
  }

  get target() {
    return this.#target.value;
  }

  get isReady() {
    return !this.#source.disabled;
  }

  /** Offer what the server has: last time's choice if it is still there, else the browser's language as target. */
  fill(answer) {
    this.#languages = new Languages(answer);
    const sources = this.#languages.sources;
    this.#offer(this.#source, sources, choose(sources, [recallChoice("source")]));
    this.#offerTargets([recallChoice("target"), ...navigator.languages]);
    this.#source.disabled = this.#target.disabled = sources.length === 0;
    this.#update();
  }

  /** What the server found the text to be; null when it was not asked. */
  showDetected(code) {
    this.#detected = code;
    this.#update();
  }

  /** Whether a text in the target language could go into another one. */
  get canRetarget() {
    return this.source === DETECT && this.#languages.targetsOf(this.target).length > 0;
  }

  /**
   * The text was found to be in `code`, which cannot be translated into what is chosen: choose something else.
   * False where there is nothing else.
   */
  retarget(code) {
    const targets = this.#languages.targetsOf(code);
    if (this.source !== DETECT || targets.length === 0 || targets.includes(this.target)) return false;
    this.#target.value = choose(targets, [recallChoice("target"), ...navigator.languages]);
    this.#update();
    return true;
  }

  #changeSource(onChange) {
    const before = recallChoice("source");
    this.#detected = null;
    // Choosing the target's language as source most often means the other way round.
    this.#offerTargets([this.target, before]);
    this.#changed(onChange);
  }

  #changed(onChange) {
    this.#remember();
    this.#update();
    onChange();
  }

  #exchange(onSwap) {
    const [source, target] = [this.#actualSource, this.target];
    this.#detected = null;
    this.#source.value = target;
    this.#offerTargets([source]);
    this.#remember();
    this.#update();
    onSwap();
  }

  get #actualSource() {
    return this.source === DETECT ? this.#detected : this.source;
  }

  #remember() {
    rememberChoice("source", this.source);
    rememberChoice("target", this.target);
  }

  #offerTargets(wanted) {
    const targets = this.#languages.targetsOf(this.source);
    this.#offer(this.#target, targets, choose(targets, wanted));
  }

  #offer(select, codes, chosen) {
    select.replaceChildren(...codes.map((code) => new Option(this.#label(code), code)));
    select.value = chosen;
  }

  #label(code) {
    if (code !== DETECT) return this.#languages.nameOf(code);
    return this.#detected === null ? "Detect language" : `${this.#languages.nameOf(this.#detected)} (auto)`;
  }

  #update() {
    const actual = this.#actualSource;
    this.#swap.disabled = actual === null || !this.#languages.has(this.target, actual);
    const detect = [...this.#source.options].find((option) => option.value === DETECT);
    if (detect) detect.textContent = this.#label(DETECT);
  }
}
