// One field's part of the panel of filters: values to choose from, or a range.

/** @import { Field, Value } from "./api.js" */

import { conditionOf, valuesOf } from "./condition.js";
import { make } from "./dom.js";
import { fieldName, number, spoken } from "./format.js";

const SHOWN = 6; // values before "more"

/**
 * @typedef {object} Control
 * @property {string} name  of the field
 * @property {HTMLElement} element
 * @property {(condition: unknown) => void} show
 */
/** @typedef {(name: string, condition: unknown) => void} Change  of the condition on a field; undefined: none */

/**
 * The control of a field; null where there is nothing to choose in it.
 * @param {Field} field
 * @param {Change} change
 * @returns {Control | null}
 */
export function controlOf(field, change) {
  const { type, distinct, values } = field;
  if (type === "prompt" || distinct < 2) return null;
  if (type === "integer" || type === "number") return range(field, change, "number");
  if (type === "time") return range(field, change, "date");
  // What is different for each picture is not to be chosen from a list, but how it begins can be said.
  return values.some(([, count]) => count > 1) ? choices(field, change) : beginning(field, change);
}

/**
 * @param {Field} field
 * @param {Change} change
 * @returns {Control}
 */
function choices(field, change) {
  const { name, values, distinct, type } = field;
  /** @type {Map<Value, HTMLInputElement>} */
  const boxes = new Map();
  const told = () => {
    const chosen = [...boxes].filter(([, box]) => box.checked).map(([value]) => value);
    change(name, chosen.length ? (chosen.length === 1 ? chosen[0] : chosen) : undefined);
  };
  const choice = (/** @type {Value} */ value, /** @type {number | null} */ count) => {
    const box = make("input", { type: "checkbox", change: told });
    boxes.set(value, box);
    return make(
      "label",
      { class: "choice" },
      box,
      make("span", {}, spoken(value)),
      make("small", {}, count === null ? "" : number(count)),
    );
  };
  const list = make("div", { class: "choices" }, ...values.map(([value, count]) => choice(value, count)));
  const rest = [...list.children].slice(SHOWN);
  const more = make(
    "button",
    {
      type: "button",
      class: "quiet",
      click: () => {
        for (const one of rest) one.removeAttribute("hidden");
        more.remove();
        rest[0]?.querySelector("input")?.focus();
      },
    },
    `${rest.length} more`,
  );
  for (const one of rest) one.setAttribute("hidden", "");
  const begins = type === "string" && distinct > values.length ? beginning(field, change) : null;
  return {
    name,
    element: make("div", {}, list, rest.length > 0 && more, begins?.element ?? null),
    show(condition) {
      const chosen = valuesOf(condition);
      for (const value of chosen) if (!boxes.has(value)) list.append(choice(value, null)); // a rare one, from an address
      for (const [value, box] of boxes) {
        box.checked = chosen.includes(value);
        if (box.checked) box.closest("label")?.removeAttribute("hidden");
      }
      begins?.show(condition);
    },
  };
}

/**
 * @param {Field} field
 * @param {Change} change
 * @returns {Control}
 */
function beginning({ name }, change) {
  const input = make("input", {
    type: "text",
    change: () => change(name, input.value ? { prefix: input.value } : undefined),
  });
  return {
    name,
    element: make("label", { class: "begins" }, "Begins with", input),
    show: (condition) => {
      input.value = String(conditionOf(condition).prefix ?? "");
    },
  };
}

/**
 * @param {Field} field
 * @param {Change} change
 * @param {"number" | "date"} type  of the inputs
 * @returns {Control}
 */
function range({ name, least, greatest, type: kind }, change, type) {
  const end = (/** @type {unknown} */ value) =>
    type === "date" ? String(value ?? "").slice(0, 10) : String(value ?? "");
  const given = (/** @type {HTMLInputElement} */ input) => (type === "number" ? Number(input.value) : input.value);
  const told = () => {
    const condition = { ...(from.value && { gte: given(from) }), ...(to.value && { lte: given(to) }) };
    change(name, Object.keys(condition).length ? condition : undefined);
  };
  const input = (/** @type {string} */ label, /** @type {unknown} */ placeholder) =>
    make("input", {
      type,
      "aria-label": `${fieldName(name)} ${label}`,
      step: type === "date" ? null : kind === "integer" ? 1 : "any",
      min: type === "date" ? end(least) : null,
      max: type === "date" ? end(greatest) : null,
      placeholder: end(placeholder),
      change: told,
    });
  const [from, to] = [input("from", least), input("to", greatest)];
  return {
    name,
    element: make("div", { class: "range" }, from, make("span", { "aria-hidden": "true" }, "–"), to),
    show(condition) {
      const { gt, gte = gt, lt, lte = lt, eq } = conditionOf(condition);
      from.value = end(gte ?? eq);
      to.value = end(lte ?? eq);
    },
  };
}
