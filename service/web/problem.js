/**
 * Why there is no answer, in words for people.
 *
 * Knows problem objects (RFC 9457) and what the server adds to them; must not know requests or the page.
 */

// These pass by themselves; everything else would fail again in the same way.
const PASSING_STATUSES = new Set([429, 502, 503]);

export class Problem extends Error {
  /**
   * `fields`: a problem object, or its `title` alone. `mayPass`: trying again later makes sense. `isOfText`: only
   * another text helps, so that nobody is offered to try.
   */
  constructor(fields) {
    super(fields.title);
    this.title = fields.title;
    this.detail = fields.detail ?? "";
    this.requestId = fields.request_id ?? "";
    this.faults = fields.errors ?? [];
    this.mayPass = fields.mayPass ?? PASSING_STATUSES.has(fields.status);
    this.isOfText = fields.isOfText ?? false;
    this.retryAfterSeconds = fields.retry_after_seconds ?? null;
  }
}

export const unreachable = () =>
  new Problem({
    title: "The server cannot be reached",
    detail: "It may be restarting, or the connection to it is down.",
    mayPass: true,
  });

export const brokenOff = () =>
  new Problem({
    title: "The connection broke off",
    detail: "The translation did not arrive to its end.",
    mayPass: true,
  });

export const tooLong = () =>
  new Problem({
    title: "The text is too long",
    detail: "The server does not take so many characters at a time.",
    isOfText: true,
  });
