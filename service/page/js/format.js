// Values as people read them.

const NUMBER = new Intl.NumberFormat("en");
const DATE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
const NAMES = new Map([
  ["cfg_scale", "CFG scale"],
  ["image_count", "pictures of the prompt"],
]);

/** @param {number} value */
export const number = (value) => NUMBER.format(value);

/**
 * @param {number} count
 * @param {string} noun
 */
export const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

/** @param {number} score */
export const score = (score) => score.toFixed(3);

/**
 * A field's name: "cfg_scale" is "CFG scale".
 * @param {string} name
 */
export function fieldName(name) {
  const words = NAMES.get(name) ?? name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * What the service says, as a sentence.
 * @param {string} text
 */
export function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/**
 * A value as a word: what is true or false is answered with Yes or No.
 * @param {unknown} value
 */
export const spoken = (value) => (typeof value === "boolean" ? (value ? "Yes" : "No") : String(value));

/**
 * The value of a setting, whatever it is.
 * @param {string} name
 * @param {unknown} value
 */
export function setting(name, value) {
  if (name === "created" && typeof value === "string" && !Number.isNaN(Date.parse(value))) {
    return value.length > 10 ? `${DATE.format(new Date(value))} UTC` : value;
  }
  return typeof value === "object" && value !== null ? JSON.stringify(value) : spoken(value);
}

/**
 * A text with its end cut off where it is long.
 * @param {string} text
 * @param {number} most  characters
 */
export const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text);
