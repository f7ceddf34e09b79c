// The search box: the query's words, and words to exclude.

/** @import { Query } from "../query/query.js" */

import { byId } from "../lib/dom.js";
import { bindImageInput } from "./image-input.js";

const PAUSE_MS = 50; // without a key press before a search starts

export class SearchBox {
  /** @param {(change: Partial<Query>, draft: boolean) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    /** @type {HTMLInputElement} */
    this.q = byId("q");
    /** @type {HTMLInputElement} */
    this.negative = byId("negative");
    this.excludeButton = byId("exclude");
    this.excludeRow = byId("without");
    this.timer = 0;
    for (const field of [this.q, this.negative]) this.#bindTyping(field);
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(false);
    });
    this.excludeButton.addEventListener("click", () => this.#toggleExclude());
    bindImageInput((image) => onChange({ ...this.words, image, lostImage: "", like: "", promptId: "" }, false));
  }

  /** The words, if they have been typed but not submitted yet. */
  get pendingWords() {
    return this.timer ? this.words : {};
  }

  get words() {
    return { q: this.q.value, negative: this.negative.value };
  }

  /** @param {Query} query */
  show({ q, negative }) {
    this.#stopTimer();
    // Differences in spaces at the ends are ignored, so that nothing changes under the hands of someone who is typing.
    if (this.q.value.trim() !== q.trim()) this.q.value = q;
    if (this.negative.value.trim() !== negative.trim()) this.negative.value = negative;
    if (negative) this.#showExclude(true);
    else if (document.activeElement !== this.negative) this.#showExclude(false);
  }

  focus() {
    this.q.focus();
  }

  /** @param {HTMLInputElement} field */
  #bindTyping(field) {
    field.addEventListener("input", (event) => {
      clearTimeout(this.timer);
      // While an input method composes, the text is not final.
      if (/** @type {InputEvent} */ (event).isComposing) return;
      this.timer = setTimeout(() => this.#submit(true), PAUSE_MS);
    });
    field.addEventListener("compositionend", () => this.#submit(true));
  }

  /** @param {boolean} draft */
  #submit(draft) {
    this.#stopTimer();
    this.onChange(this.words, draft);
  }

  #stopTimer() {
    clearTimeout(this.timer);
    this.timer = 0;
  }

  #toggleExclude() {
    const open = this.excludeRow.hidden === true;
    this.#showExclude(open);
    if (open) this.negative.focus();
    else if (this.negative.value) {
      this.negative.value = "";
      this.#submit(false);
    }
  }

  /** @param {boolean} open */
  #showExclude(open) {
    this.excludeRow.hidden = !open;
    this.excludeButton.setAttribute("aria-expanded", String(open));
  }
}
