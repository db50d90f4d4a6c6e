/**
 * Copying text, also where the page came over plain HTTP: there browsers hide `navigator.clipboard`, and a server of
 * one's own in a local network is often reached so.
 */

/** Whether `text` is on the clipboard now. Call it from a click. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const carrier = document.createElement("textarea");
  carrier.value = text;
  carrier.className = "unseen";
  document.body.append(carrier);
  carrier.select();
  const isCopied = document.execCommand("copy");
  carrier.remove();
  focused?.focus();
  return isCopied;
}
