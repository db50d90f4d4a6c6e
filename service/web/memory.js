/**
 * What the page remembers, and where.
 *
 * The text stays in sessionStorage: within this tab, gone when it is closed, never sent by the browser. It is not put into
 * the address, which browsers keep in their history, send to other devices and show to whoever looks on. The
 * choices (languages, quality) say nothing about a text and stay in localStorage. Either may be switched off by
 * the user or be full; then nothing is remembered.
 */

const PREFIX = "verto.";

function attempt(action) {
  try {
    return action();
  } catch {
    return null;
  }
}

export const recallText = () => attempt(() => sessionStorage.getItem(`${PREFIX}text`)) ?? "";

export function rememberText(text) {
  // Removed first: what does not fit must not leave an older text behind.
  attempt(() => sessionStorage.removeItem(`${PREFIX}text`));
  if (text) attempt(() => sessionStorage.setItem(`${PREFIX}text`, text));
}

export const recallChoice = (name) => attempt(() => localStorage.getItem(PREFIX + name));

export function rememberChoice(name, value) {
  attempt(() => localStorage.setItem(PREFIX + name, value));
}
