// Conditions on fields, as the filter panel and the chips read, change and describe them.

/** @import { Condition, Filter, Value } from "../api/types.js" */
/** @import { Query } from "./query.js" */

import { formatValue } from "../lib/format.js";
import { isSearch } from "./query.js";

/**
 * Return a condition in its full form: a plain value means `eq`, a list means `in`.
 * @param {unknown} condition
 * @returns {Condition}
 */
export function toCondition(condition) {
  if (Array.isArray(condition)) return { in: condition };
  if (typeof condition === "object" && condition !== null) return condition;
  return condition === undefined ? {} : { eq: /** @type {Value} */ (condition) };
}

/**
 * Return the values that a condition allows by name.
 * @param {unknown} condition
 * @returns {Value[]}
 */
export function valuesOf(condition) {
  const { eq, in: values } = toCondition(condition);
  if (values) return values;
  return eq === undefined ? [] : [eq];
}

/**
 * Return the change of a query that sets a condition; undefined removes it.
 * @param {Query} query
 * @param {string} name  of the field
 * @param {unknown} condition
 * @returns {{ filter: Filter | null }}
 */
export function withCondition(query, name, condition) {
  const filter = { ...query.filter };
  if (condition === undefined) delete filter[name];
  else filter[name] = condition;
  // An empty filter lists everything, so it is needed if the query has nothing else.
  const needed = Object.keys(filter).length > 0 || !isSearch({ ...query, filter: null });
  return { filter: needed ? filter : null };
}

/**
 * Describe a condition.
 * @param {string} name  of the field
 * @param {unknown} condition
 */
export function describeCondition(name, condition) {
  if (name === "and" || name === "or" || name === "not") return `${name} ${JSON.stringify(condition)}`;
  const { eq, in: values, gt, gte, lt, lte, prefix, exists } = toCondition(condition);
  if (exists !== undefined) return exists ? "is set" : "is not set";
  if (prefix !== undefined) return `starts with ${prefix}`;
  if (eq !== undefined) return formatValue(eq);
  if (values) return values.map(formatValue).join(" or ");
  const least = gte ?? gt;
  const greatest = lte ?? lt;
  if (least !== undefined && greatest !== undefined) return `${least} – ${greatest}`;
  return least !== undefined ? `from ${least}` : `up to ${greatest}`;
}
