// The filter panel: a control for each field of the collection, and options for the results.

/** @import { Field } from "../api/types.js" */
/** @import { Query } from "../query/query.js" */
/** @import { FieldControl } from "./field-control.js" */

import { byId, make } from "../lib/dom.js";
import { formatFieldName } from "../lib/format.js";
import { toCondition, withCondition } from "../query/filter.js";
import { countOptions, hasScores } from "../query/query.js";
import { fieldControl } from "./field-control.js";

const MAX_OPEN = 3; // fields whose values are shown from the start,
const MAX_VALUES = 24; // if they have no more values than this
const LAST_FIELDS = ["image_count", "source"]; // the least useful as filters
const DIVERSITY = 0.5;

export class Filters {
  /** @param {(change: Partial<Query>) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.panel = byId("filters");
    this.button = byId("show-filters");
    this.count = byId("filter-count");
    /** @type {HTMLInputElement} */
    this.minScore = byId("min-score");
    /** @type {HTMLInputElement} */
    this.grouped = byId("grouped");
    /** @type {HTMLInputElement} */
    this.deduplicated = byId("deduplicated");
    /** @type {HTMLInputElement} */
    this.diverse = byId("diverse");
    /** @type {Query | null} */
    this.query = null;
    /** @type {FieldControl[]} */
    this.controls = [];
    this.#bindPanel();
    this.#bindOptions();
  }

  /** @param {boolean} open */
  toggle(open) {
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
  }

  /**
   * Build the controls for a collection's fields.
   * @param {Field[]} fields
   */
  setFields(fields) {
    let opened = 0;
    const sections = [];
    this.controls = [];
    for (const field of fields.toSorted((a, b) => rank(a) - rank(b))) {
      const control = fieldControl(field, (name, condition) => {
        if (this.query) this.onChange(withCondition(this.query, name, condition));
      });
      if (!control) continue;
      const open = opened < MAX_OPEN && hasFewValues(field);
      if (open) opened += 1;
      this.controls.push(control);
      sections.push(make("details", { open }, make("summary", {}, formatFieldName(field.name)), control.element));
    }
    byId("fields").replaceChildren(...sections);
    if (this.query) this.show(this.query);
  }

  /** @param {Query} query */
  show(query) {
    this.query = query;
    for (const control of this.controls) {
      const condition = query.filter?.[control.name];
      control.show(condition);
      if (Object.keys(toCondition(condition)).length) control.element.closest("details")?.setAttribute("open", "");
    }
    const count = countOptions(query);
    this.count.textContent = count ? String(count) : "";
    this.count.hidden = count === 0;
    const scored = hasScores(query);
    this.minScore.value = query.minScore === null ? "" : String(query.minScore);
    this.minScore.disabled = !scored;
    this.grouped.checked = query.grouped;
    this.grouped.disabled = query.kind === "prompts";
    this.deduplicated.checked = query.deduplicated;
    this.deduplicated.disabled = !scored;
    this.diverse.checked = query.diversity > 0;
    this.diverse.disabled = !scored || query.sort !== "";
  }

  #bindPanel() {
    const close = () => {
      this.toggle(false);
      this.button.focus();
    };
    this.button.addEventListener("click", () => this.toggle(this.panel.hidden === true));
    byId("hide-filters").addEventListener("click", close);
    this.panel.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") close();
    });
  }

  #bindOptions() {
    const { minScore, grouped, deduplicated, diverse, onChange } = this;
    minScore.addEventListener("change", () => {
      onChange({ minScore: minScore.value === "" ? null : Math.min(1, Math.max(-1, Number(minScore.value))) });
    });
    grouped.addEventListener("change", () => onChange({ grouped: grouped.checked }));
    deduplicated.addEventListener("change", () => onChange({ deduplicated: deduplicated.checked }));
    diverse.addEventListener("change", () => onChange({ diversity: diverse.checked ? DIVERSITY : 0 }));
  }
}

/** @param {Field} field */
const rank = ({ name }) => LAST_FIELDS.indexOf(name);

/** @param {Field} field */
const hasFewValues = ({ type, values, distinct }) =>
  (type === "boolean" || (type === "string" && values.length > 0)) && distinct <= MAX_VALUES;
