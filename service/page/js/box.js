// The search box: words, words to leave out, and a picture that is chosen, dropped or pasted.

/** @import { Query } from "./query.js" */

import { byId } from "./dom.js";

const REST_MS = 50; // without a key, after which a search begins

export class Box {
  /** @param {(change: Partial<Query>, draft: boolean) => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.form = byId("search");
    /** @type {HTMLInputElement} */
    this.q = byId("q");
    /** @type {HTMLInputElement} */
    this.negative = byId("negative");
    this.exclude = byId("exclude");
    this.without = byId("without");
    this.timer = 0;
    for (const field of [this.q, this.negative]) {
      field.addEventListener("input", (event) => {
        clearTimeout(this.timer);
        // While an input method composes, what stands there is not yet what is meant.
        if (!(/** @type {InputEvent} */ (event).isComposing)) this.timer = setTimeout(() => this.#tell(true), REST_MS);
      });
      field.addEventListener("compositionend", () => this.#tell(true));
    }
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#tell(false);
    });
    this.exclude.addEventListener("click", () => {
      const open = this.without.hidden === true;
      this.#showNegative(open);
      if (open) this.negative.focus();
      else if (this.negative.value) {
        this.negative.value = "";
        this.#tell(false);
      }
    });
    this.#takePictures();
  }

  /** What was typed last, where it has not been told yet. */
  get untold() {
    return this.timer ? this.words : {};
  }

  /** What stands in the box now. */
  get words() {
    return { q: this.q.value, negative: this.negative.value };
  }

  /** @param {Query} query */
  show({ q, negative }) {
    this.#rest();
    // Not under the hands of someone who types: a space at the end is no other query.
    if (this.q.value.trim() !== q.trim()) this.q.value = q;
    if (this.negative.value.trim() !== negative.trim()) this.negative.value = negative;
    if (negative) this.#showNegative(true);
    else if (document.activeElement !== this.negative) this.#showNegative(false);
  }

  /** Let someone choose a picture. */
  choose() {
    byId("file").click();
  }

  /** @param {boolean} draft */
  #tell(draft) {
    this.#rest();
    this.changed(this.words, draft);
  }

  #rest() {
    clearTimeout(this.timer);
    this.timer = 0;
  }

  /** @param {boolean} open */
  #showNegative(open) {
    this.without.hidden = !open;
    this.exclude.setAttribute("aria-expanded", String(open));
  }

  #takePictures() {
    /** @type {HTMLInputElement} */
    const file = byId("file");
    const take = (/** @type {File | undefined} */ picture) => {
      if (picture) this.changed({ ...this.words, picture, lost: "", like: "", of: "" }, false);
    };
    file.addEventListener("change", () => {
      take(file.files?.[0]);
      file.value = ""; // so that the same one can be chosen again
    });
    addEventListener("paste", ({ clipboardData }) => take(clipboardData?.files[0]));
    const carries = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
    const hover = (/** @type {boolean} */ over) => document.body.classList.toggle("dragging", over);
    addEventListener("dragover", (event) => {
      if (!carries(event)) return;
      event.preventDefault(); // else the browser leaves the page to show the file
      hover(true);
    });
    addEventListener("dragleave", (event) => event.relatedTarget ?? hover(false));
    addEventListener("drop", (event) => {
      hover(false);
      if (!carries(event)) return;
      event.preventDefault();
      take(event.dataTransfer?.files[0]);
    });
  }
}
