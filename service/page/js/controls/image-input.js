// Images as queries: chosen, pasted or dropped on the page.

import { byId } from "../lib/dom.js";

/** @param {(image: File) => void} onImage */
export function bindImageInput(onImage) {
  const take = (/** @type {File | undefined} */ image) => {
    if (image) onImage(image);
  };
  /** @type {HTMLInputElement} */
  const input = byId("file");
  input.addEventListener("change", () => {
    take(input.files?.[0]);
    input.value = ""; // so that choosing the same file again is a change
  });
  addEventListener("paste", ({ clipboardData }) => take(clipboardData?.files[0]));
  bindDrop(take);
}

/** @param {(image: File | undefined) => void} take */
function bindDrop(take) {
  const hasFiles = (/** @type {DragEvent} */ { dataTransfer }) => dataTransfer?.types.includes("Files") ?? false;
  const setDragging = (/** @type {boolean} */ dragging) => document.body.classList.toggle("dragging", dragging);
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // otherwise the browser would open the file in place of the page
    setDragging(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? setDragging(false));
  addEventListener("drop", (event) => {
    setDragging(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer?.files[0]);
  });
}
