// What keys do in the viewer: → and ← show the next and the previous result, Escape closes.

import { isTextField } from "../lib/dom.js";

/** @type {Record<string, 1 | -1>} */
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

/**
 * @param {HTMLDialogElement} dialog
 * @param {(step: 1 | -1) => void} move
 * @param {() => void} close
 */
export function bindViewerKeys(dialog, move, close) {
  dialog.addEventListener("keydown", (event) => {
    if (isTextField(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    move(step);
  });
  // Escape. Closed at once: the dialog's own close event comes later, when the focus may have moved to another result.
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    close();
  });
}
