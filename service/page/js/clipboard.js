// Copying, also where the page came over plain HTTP, for which browsers withhold their clipboard.

/**
 * @param {string | Promise<string>} text
 * @param {HTMLElement} near  where a field may stand for a moment: inside a dialog, if one is open
 */
export async function copy(text, near) {
  if (navigator.clipboard) {
    try {
      // Still to come, it is given as it is: some browsers let a page copy in the moment of the click alone.
      const content = Promise.resolve(text).then((known) => new Blob([known], { type: "text/plain" }));
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": content })]);
      return;
    } catch {} // not allowed: the old way may be
  }
  const field = document.createElement("textarea");
  field.className = "unseen";
  field.value = await text;
  near.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

/**
 * Copy, and say so on the button that was pressed.
 * @param {string | Promise<string>} text
 * @param {HTMLElement} button
 * @param {HTMLElement} status  a live region
 */
export async function copyWith(text, button, status) {
  await copy(text, button.parentElement ?? document.body);
  button.focus({ preventScroll: true });
  button.classList.add("done");
  status.textContent = "Copied";
  setTimeout(() => {
    button.classList.remove("done");
    status.textContent = "";
  }, 1500);
}
