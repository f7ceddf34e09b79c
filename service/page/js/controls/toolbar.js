// The toolbar: images or prompts, the search mode, and the order of the results.

/** @import { Collection, Field, Kind, Mode } from "../api/types.js" */
/** @import { Query } from "../query/query.js" */

import { byId, make } from "../lib/dom.js";
import { capitalize, formatFieldName } from "../lib/format.js";

export class Toolbar {
  /** @param {(change: Partial<Query>) => void} onChange */
  constructor(onChange) {
    /** @type {HTMLFormElement} */
    this.form = byId("toolbar");
    /** @type {HTMLSelectElement} */
    this.mode = byId("mode");
    /** @type {HTMLSelectElement} */
    this.sort = byId("sort");
    this.order = ""; // of the query, even if it is not among the options yet
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", ({ target }) => {
      const { name, value } = /** @type {HTMLInputElement} */ (target);
      if (name === "kind") onChange({ kind: /** @type {Kind} */ (value) });
      if (target === this.mode) onChange({ mode: /** @type {Mode} */ (value) });
      if (target === this.sort) onChange({ sort: value });
    });
  }

  /**
   * List the orders that a collection's fields allow: by time and by number.
   * @param {Field[]} fields
   */
  setFields(fields) {
    this.sort.replaceChildren(new Option("Best match", ""), ...fields.flatMap(orderOptions));
    this.#selectOrder();
  }

  /**
   * Enable the kinds of results that a collection has.
   * @param {Collection} collection
   */
  setCollection({ images, prompts }) {
    for (const [kind, index] of Object.entries({ images, prompts })) {
      for (const input of this.form.querySelectorAll("input")) if (input.value === kind) input.disabled = !index;
    }
    byId("kinds").hidden = !images || !prompts;
  }

  /** @param {Query} query */
  show({ kind, mode, sort }) {
    for (const input of this.form.querySelectorAll("input")) input.checked = input.value === kind;
    this.mode.value = mode;
    this.order = sort;
    this.#selectOrder();
  }

  #selectOrder() {
    const listed = [...this.sort.options].some(({ value }) => value === this.order);
    if (!listed) this.sort.append(make("option", { value: this.order }, formatFieldName(this.order.replace("-", ""))));
    this.sort.value = this.order;
  }
}

/** @param {Field} field */
function orderOptions({ name, type, distinct }) {
  if (distinct < 2 || !["time", "integer", "number"].includes(type)) return [];
  const [descending, ascending] = type === "time" ? ["newest", "oldest"] : ["highest", "lowest"];
  const label = (/** @type {string} */ order) =>
    name === "created" ? `${capitalize(order)} first` : `${formatFieldName(name)}: ${order} first`;
  return [new Option(label(descending), `-${name}`), new Option(label(ascending), name)];
}
