/**
 * One translation at a time, always of the newest text: waits for a pause, aborts what is outdated, tries again.
 *
 * Knows time and order; must not know the page or HTTP. Aborting closes the connection, and the server gives
 * the rows that worked for it to somebody else.
 */

import { Problem } from "./problem.js";

const LONGEST_PAUSE_SECONDS = 30;

export class LiveTranslation {
  #send;
  #view;
  #request = null;
  #controller = null;
  #timer = 0;
  #failures = 0;

  /**
   * `send(request, signal)` gives the events; `view` is told what to show: `waiting()`, `began()`,
   * `event({ event, data })`, `finished()`, `failed(problem, pauseSeconds)` with null for no further try.
   */
  constructor(send, view) {
    this.#send = send;
    this.#view = view;
  }

  /** Translate `request` once `delayMs` have passed without another call. */
  schedule(request, delayMs) {
    this.stop();
    this.#request = request;
    this.#failures = 0;
    this.#view.waiting();
    this.#timer = setTimeout(() => this.#run(), delayMs);
  }

  /** Drop what runs and what was to come. */
  stop() {
    clearTimeout(this.#timer);
    this.#controller?.abort();
    this.#controller = null;
  }

  async #run() {
    const controller = new AbortController();
    this.#controller = controller;
    this.#view.began();
    try {
      for await (const event of this.#send(this.#request, controller.signal)) {
        if (controller.signal.aborted) return;
        this.#view.event(event);
      }
      if (controller.signal.aborted) return;
      this.#failures = 0;
      this.#view.finished();
    } catch (error) {
      if (controller.signal.aborted) return;
      if (!(error instanceof Problem)) throw error; // a fault of the page, not of the server
      this.#fail(error);
    }
  }

  #fail(problem) {
    this.#failures += 1;
    const pauseSeconds = problem.mayPass ? this.#pauseSeconds(problem) : null;
    this.#view.failed(problem, pauseSeconds);
    if (pauseSeconds !== null) this.#timer = setTimeout(() => this.#run(), pauseSeconds * 1000);
  }

  /** As long as the server asks for, else longer each time; a little at random, so that pages do not come at once. */
  #pauseSeconds(problem) {
    const pause = problem.retryAfterSeconds ?? Math.min(2 ** this.#failures, LONGEST_PAUSE_SECONDS);
    return pause + Math.random();
  }
}
