// The panel of filters: one part for each field that the collection has, and what else limits an answer.

/** @import { Field } from "./api.js" */
/** @import { Control } from "./control.js" */
/** @import { Query } from "./query.js" */

import { conditionOf, withCondition } from "./condition.js";
import { controlOf } from "./control.js";
import { byId, make } from "./dom.js";
import { fieldName } from "./format.js";
import { conditions, isCompared } from "./query.js";

const FEW = 24; // values of a field that is shown open from the start
const OPEN = 3; // such fields

export class Filters {
  /** @param {(change: Partial<Query>) => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.panel = byId("filters");
    this.button = byId("show-filters");
    /** @type {Query | null} */
    this.query = null;
    /** @type {Control[]} */
    this.controls = [];
    this.#options();
    this.button.addEventListener("click", () => this.open(this.panel.hidden === true));
    byId("hide-filters").addEventListener("click", () => {
      this.open(false);
      this.button.focus();
    });
    this.panel.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      this.open(false);
      this.button.focus();
    });
  }

  /** @param {boolean} open */
  open(open) {
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    document.body.classList.toggle("filtering", open);
  }

  /**
   * Build the panel for a collection's fields.
   * @param {Field[]} fields
   */
  build(fields) {
    let opened = 0;
    const parts = [];
    this.controls = [];
    // What someone chose when the picture was made comes first; where it lies, last.
    const last = (/** @type {Field} */ { name }) => Number(name === "image_count") + 2 * Number(name === "source");
    for (const field of fields.toSorted((one, other) => last(one) - last(other))) {
      const control = controlOf(field, (name, condition) => {
        if (this.query) this.changed(withCondition(this.query, name, condition));
      });
      if (!control) continue;
      const chosen = field.type === "boolean" || (field.type === "string" && field.values.length > 0);
      const open = chosen && field.distinct <= FEW && opened < OPEN;
      if (open) opened += 1;
      this.controls.push(control);
      parts.push(make("details", { open }, make("summary", {}, fieldName(field.name)), control.element));
    }
    byId("fields").replaceChildren(...parts);
    if (this.query) this.show(this.query);
  }

  /** @param {Query} query */
  show(query) {
    this.query = query;
    for (const control of this.controls) {
      const condition = query.filter?.[control.name];
      control.show(condition);
      if (Object.keys(conditionOf(condition)).length) control.element.closest("details")?.setAttribute("open", "");
    }
    const count = conditions(query);
    byId("filter-count").textContent = count ? String(count) : "";
    byId("filter-count").hidden = count === 0;
    const compared = isCompared(query);
    this.score.value = query.minScore === null ? "" : String(query.minScore);
    this.score.disabled = !compared;
    this.grouped.checked = query.grouped;
    this.grouped.disabled = query.kind === "prompts";
    this.alike.checked = query.deduplicated;
    this.alike.disabled = !compared;
    this.varied.checked = query.diversity > 0;
    this.varied.disabled = !compared || query.sort !== "";
  }

  #options() {
    /** @type {HTMLInputElement} */
    this.score = byId("min-score");
    /** @type {HTMLInputElement} */
    this.grouped = byId("grouped");
    /** @type {HTMLInputElement} */
    this.alike = byId("deduplicated");
    /** @type {HTMLInputElement} */
    this.varied = byId("varied");
    this.score.addEventListener("change", () => {
      const given = this.score.value === "" ? null : Math.min(1, Math.max(-1, Number(this.score.value)));
      this.changed({ minScore: given });
    });
    this.grouped.addEventListener("change", () => this.changed({ grouped: this.grouped.checked }));
    this.alike.addEventListener("change", () => this.changed({ deduplicated: this.alike.checked }));
    this.varied.addEventListener("change", () => this.changed({ diversity: this.varied.checked ? 0.5 : 0 }));
  }
}
