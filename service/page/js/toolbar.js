// What is searched for, how words are understood, and the order of the results.

/** @import { Collection, Field, Kind, Mode } from "./api.js" */
/** @import { Query } from "./query.js" */

import { byId, make } from "./dom.js";
import { fieldName } from "./format.js";

export class Toolbar {
  /** @param {(change: Partial<Query>) => void} changed */
  constructor(changed) {
    /** @type {HTMLFormElement} */
    this.form = byId("toolbar");
    /** @type {HTMLSelectElement} */
    this.mode = byId("mode");
    /** @type {HTMLSelectElement} */
    this.sort = byId("sort");
    this.order = ""; // of the query, also where the fields do not have it yet
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", ({ target }) => {
      const { name, value } = /** @type {HTMLInputElement} */ (target);
      if (name === "kind") changed({ kind: /** @type {Kind} */ (value) });
      if (target === this.mode) changed({ mode: /** @type {Mode} */ (value) });
      if (target === this.sort) changed({ sort: value });
    });
  }

  /**
   * Offer the orders that a collection's fields allow: by time, and by what is counted or measured.
   * @param {Field[]} fields
   */
  build(fields) {
    const options = [new Option("Best match", "")];
    for (const { name, type, distinct } of fields) {
      if (distinct < 2) continue;
      const [last, first] = type === "time" ? ["newest", "oldest"] : ["most", "least"];
      const title = name === "created" ? "" : `${fieldName(name)}: `;
      const label = (/** @type {string} */ word) =>
        title ? title + word : `${word.charAt(0).toUpperCase()}${word.slice(1)} first`;
      if (type === "time" || type === "integer" || type === "number") {
        options.push(new Option(label(last), `-${name}`), new Option(label(first), name));
      }
    }
    this.sort.replaceChildren(...options);
    this.#order();
  }

  /**
   * Offer what a collection has: where it has no pictures, nobody can ask for them.
   * @param {Collection} collection
   */
  offer({ images, prompts }) {
    for (const [value, there] of Object.entries({ images, prompts })) {
      for (const input of this.form.querySelectorAll("input")) if (input.value === value) input.disabled = !there;
    }
    byId("kinds").hidden = !images || !prompts;
  }

  /** @param {Query} query */
  show({ kind, mode, sort }) {
    for (const input of this.form.querySelectorAll("input")) input.checked = input.value === kind;
    this.mode.value = mode;
    this.order = sort;
    this.#order();
  }

  #order() {
    const known = [...this.sort.options].some(({ value }) => value === this.order);
    if (!known) this.sort.append(make("option", { value: this.order }, fieldName(this.order.replace("-", ""))));
    this.sort.value = this.order;
  }
}
