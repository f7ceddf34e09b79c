// Copying text, also on plain HTTP, where browsers offer no Clipboard API.

const CONFIRMATION_MS = 1500;

/**
 * @param {string | Promise<string>} text
 * @param {HTMLElement} parent  of a temporary field: inside the dialog if one is open
 */
async function copy(text, parent) {
  if (navigator.clipboard) {
    try {
      // The promise is passed on unawaited: some browsers allow copying only during the click itself.
      const content = Promise.resolve(text).then((resolved) => new Blob([resolved], { type: "text/plain" }));
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": content })]);
      return;
    } catch {} // denied: the old command may still work
  }
  const field = document.createElement("textarea");
  field.className = "visually-hidden";
  field.value = await text;
  parent.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

/**
 * Copy a text, and confirm it on the button that was pressed.
 * @param {string | Promise<string>} text
 * @param {HTMLElement} button
 * @param {HTMLElement} status  a live region
 */
export async function copyWithFeedback(text, button, status) {
  await copy(text, button.parentElement ?? document.body);
  button.focus({ preventScroll: true });
  button.classList.add("done");
  status.textContent = "Copied";
  setTimeout(() => {
    button.classList.remove("done");
    status.textContent = "";
  }, CONFIRMATION_MS);
}
