// Values as text.

const NUMBER = new Intl.NumberFormat("en");
const DATE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
const FIELD_NAMES = new Map([
  ["cfg_scale", "CFG scale"],
  ["image_count", "images per prompt"],
]);

/** @param {number} value */
export const formatNumber = (value) => NUMBER.format(value);

/**
 * Format a count with its noun: "1 image", "1,204 images".
 * @param {number} count
 * @param {string} noun
 */
export const formatCount = (count, noun) => `${formatNumber(count)} ${noun}${count === 1 ? "" : "s"}`;

/** @param {number} score */
export const formatScore = (score) => score.toFixed(3);

/** @param {string} text */
export const capitalize = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * Format a field's name: "cfg_scale" becomes "CFG scale".
 * @param {string} name
 */
export const formatFieldName = (name) => capitalize(FIELD_NAMES.get(name) ?? name.replaceAll("_", " "));

/**
 * Format a message of the service as a sentence.
 * @param {string} message
 */
export function formatSentence(message) {
  const text = capitalize(message);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * Format a field's value; booleans become Yes or No.
 * @param {unknown} value
 */
export const formatValue = (value) => (typeof value === "boolean" ? (value ? "Yes" : "No") : String(value));

/**
 * Format the value of a setting of any type.
 * @param {string} name
 * @param {unknown} value
 */
export function formatSetting(name, value) {
  if (name === "created" && typeof value === "string" && !Number.isNaN(Date.parse(value))) {
    return value.length > 10 ? `${DATE.format(new Date(value))} UTC` : value;
  }
  return typeof value === "object" && value !== null ? JSON.stringify(value) : formatValue(value);
}

/**
 * Cut off the end of a long text.
 * @param {string} text
 * @param {number} length  maximum, in characters
 */
export const truncate = (text, length) => (text.length > length ? `${text.slice(0, length - 1).trimEnd()}…` : text);
