/**
 * Which languages can be chosen together, from the answer of GET /v1/languages.
 *
 * Knows codes and names; must not know the page. The empty code stands for "detect the language".
 */

export const DETECT = "";

export class Languages {
  #byCode;

  /** `languages`: objects with `code`, `name` and `targets` (codes). */
  constructor(languages) {
    this.#byCode = new Map(languages.map((language) => [language.code, language]));
  }

  nameOf(code) {
    return this.#byCode.get(code)?.name ?? code;
  }

  /** Codes to translate from; detection comes first where there is something to choose between. */
  get sources() {
    const codes = this.#sorted([...this.#byCode.values()].filter((one) => one.targets.length).map((one) => one.code));
    return codes.length > 1 ? [DETECT, ...codes] : codes;
  }

  /** Codes that `source` can be translated into. */
  targetsOf(source) {
    const languages = source === DETECT ? [...this.#byCode.values()] : [this.#byCode.get(source)];
    return this.#sorted([...new Set(languages.flatMap((language) => language?.targets ?? []))]);
  }

  has(source, target) {
    return this.#byCode.get(source)?.targets.includes(target) ?? false;
  }

  #sorted(codes) {
    return codes.sort((one, other) => this.nameOf(one).localeCompare(this.nameOf(other), "en"));
  }
}

/** The first of `wanted` that is among `codes`, where a wanted `de-AT` also fits `de`; else the first code. */
export function choose(codes, wanted) {
  const fits = wanted.flatMap((code) => [code, code?.split("-")[0]]);
  return fits.find((code) => codes.includes(code)) ?? codes[0];
}
