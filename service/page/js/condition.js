// Conditions on fields, as the panel of filters and the chips read and write them.

/** @import { Condition, Filter, Value } from "./api.js" */
/** @import { Query } from "./query.js" */

import { spoken } from "./format.js";
import { isAsked } from "./query.js";

/**
 * A condition in its full form: a value alone is `eq`, a list is `in`.
 * @param {unknown} given
 * @returns {Condition}
 */
export function conditionOf(given) {
  if (Array.isArray(given)) return { in: given };
  if (typeof given === "object" && given !== null) return given;
  return given === undefined ? {} : { eq: /** @type {Value} */ (given) };
}

/**
 * The values that are asked for by name.
 * @param {unknown} given
 * @returns {Value[]}
 */
export function valuesOf(given) {
  const condition = conditionOf(given);
  if (condition.in) return condition.in;
  return condition.eq === undefined ? [] : [condition.eq];
}

/**
 * The change of a query that puts a condition into its filter; undefined takes it out.
 * @param {Query} query
 * @param {string} name
 * @param {unknown} condition
 * @returns {{ filter: Filter | null }}
 */
export function withCondition(query, name, condition) {
  const filter = { ...query.filter };
  if (condition === undefined) delete filter[name];
  else filter[name] = condition;
  // Without conditions a filter still asks for everything, where nothing else is asked.
  const needed = Object.keys(filter).length > 0 || !isAsked({ ...query, filter: null });
  return { filter: needed ? filter : null };
}

/**
 * A condition in words.
 * @param {string} name
 * @param {unknown} given
 */
export function inWords(name, given) {
  if (name === "and" || name === "or" || name === "not") return `${name} ${JSON.stringify(given)}`;
  const { eq, in: values, gt, gte, lt, lte, prefix, exists } = conditionOf(given);
  if (exists !== undefined) return exists ? "is there" : "is not there";
  if (prefix !== undefined) return `begins with ${prefix}`;
  if (eq !== undefined) return spoken(eq);
  if (values) return values.map(spoken).join(" or ");
  const least = gte ?? gt;
  const greatest = lte ?? lt;
  if (least !== undefined && greatest !== undefined) return `${least} – ${greatest}`;
  return least !== undefined ? `from ${least}` : `up to ${greatest}`;
}
