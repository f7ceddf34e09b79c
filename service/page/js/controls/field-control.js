// The filter control of one field: checkboxes, a range, or the start of the text.

/** @import { Field, Value } from "../api/types.js" */

import { make } from "../lib/dom.js";
import { formatFieldName, formatNumber, formatValue } from "../lib/format.js";
import { toCondition, valuesOf } from "../query/filter.js";

const VISIBLE = 6; // values; the others appear with the "more" button

/**
 * @typedef {object} FieldControl
 * @property {string} name  of the field
 * @property {HTMLElement} element
 * @property {(condition: unknown) => void} show
 */
/** @typedef {(name: string, condition: unknown) => void} OnChange  undefined removes the condition */

/**
 * Create the control of a field; null if there is nothing to choose.
 * @param {Field} field
 * @param {OnChange} onChange
 * @returns {FieldControl | null}
 */
export function fieldControl(field, onChange) {
  const { type, distinct, values } = field;
  if (type === "prompt" || distinct < 2) return null;
  if (type === "integer" || type === "number") return rangeControl(field, onChange, "number");
  if (type === "time") return rangeControl(field, onChange, "date");
  // A list of values that are all different does not help; they are filtered by how they start.
  return values.some(([, count]) => count > 1) ? choiceControl(field, onChange) : prefixControl(field, onChange);
}

/**
 * @param {Field} field
 * @param {OnChange} onChange
 * @returns {FieldControl}
 */
function choiceControl(field, onChange) {
  const { name, values, distinct, type } = field;
  /** @type {Map<Value, HTMLInputElement>} */
  const boxes = new Map();
  const change = () => {
    const chosen = [...boxes].filter(([, box]) => box.checked).map(([value]) => value);
    onChange(name, chosen.length > 1 ? chosen : chosen[0]);
  };
  const addChoice = (/** @type {Value} */ value, /** @type {number | null} */ count) => {
    const box = make("input", { type: "checkbox", change });
    boxes.set(value, box);
    list.append(choice(box, value, count));
  };
  const list = make("div", { class: "choices" });
  for (const [value, count] of values) addChoice(value, count);
  const more = moreButton([...list.children].slice(VISIBLE));
  const prefix = type === "string" && distinct > values.length ? prefixControl(field, onChange) : null;
  return {
    name,
    element: make("div", {}, list, more, prefix?.element ?? null),
    show(condition) {
      const chosen = valuesOf(condition);
      for (const value of chosen) if (!boxes.has(value)) addChoice(value, null); // a rare value from the URL
      for (const [value, box] of boxes) {
        box.checked = chosen.includes(value);
        if (box.checked) box.closest("label")?.removeAttribute("hidden");
      }
      prefix?.show(condition);
    },
  };
}

/**
 * @param {HTMLInputElement} box
 * @param {Value} value
 * @param {number | null} count
 */
const choice = (box, value, count) =>
  make(
    "label",
    { class: "choice" },
    box,
    make("span", {}, formatValue(value)),
    make("small", {}, count === null ? "" : formatNumber(count)),
  );

/**
 * Hide some choices behind a button; null if there are none.
 * @param {Element[]} choices
 */
function moreButton(choices) {
  if (!choices.length) return null;
  const click = () => {
    for (const hidden of choices) hidden.removeAttribute("hidden");
    button.remove();
    choices[0]?.querySelector("input")?.focus();
  };
  const button = make("button", { type: "button", class: "quiet", click }, `${choices.length} more`);
  for (const hidden of choices) hidden.setAttribute("hidden", "");
  return button;
}

/**
 * @param {Field} field
 * @param {OnChange} onChange
 * @returns {FieldControl}
 */
function prefixControl({ name }, onChange) {
  const change = () => onChange(name, input.value ? { prefix: input.value } : undefined);
  const input = make("input", { type: "text", change });
  return {
    name,
    element: make("label", { class: "labelled" }, "Starts with", input),
    show: (condition) => {
      input.value = String(toCondition(condition).prefix ?? "");
    },
  };
}

/**
 * @param {Field} field
 * @param {OnChange} onChange
 * @param {"number" | "date"} inputType
 * @returns {FieldControl}
 */
function rangeControl({ name, least, greatest, type }, onChange, inputType) {
  const isDate = inputType === "date";
  const toText = (/** @type {unknown} */ value) => (isDate ? String(value ?? "").slice(0, 10) : String(value ?? ""));
  const toValue = (/** @type {HTMLInputElement} */ input) => (isDate ? input.value : Number(input.value));
  const change = () => {
    const condition = { ...(from.value && { gte: toValue(from) }), ...(to.value && { lte: toValue(to) }) };
    onChange(name, Object.keys(condition).length ? condition : undefined);
  };
  const input = (/** @type {string} */ label, /** @type {unknown} */ placeholder) =>
    make("input", {
      type: inputType,
      "aria-label": `${formatFieldName(name)} ${label}`,
      step: isDate ? null : type === "integer" ? 1 : "any",
      min: isDate ? toText(least) : null,
      max: isDate ? toText(greatest) : null,
      placeholder: toText(placeholder),
      change,
    });
  const [from, to] = [input("from", least), input("to", greatest)];
  return {
    name,
    element: make("div", { class: "range" }, from, make("span", { "aria-hidden": "true" }, "–"), to),
    show(condition) {
      const { gt, gte = gt, lt, lte = lt, eq } = toCondition(condition);
      from.value = toText(gte ?? eq);
      to.value = toText(lte ?? eq);
    },
  };
}
