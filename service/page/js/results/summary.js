// The status line above the results: how many, in which order, how fast.

/** @import { Search } from "../query/search.js" */

import { formatCount, formatNumber } from "../lib/format.js";
import { hasPositiveTerm } from "../query/query.js";

/**
 * Summarize a search of which at least the first page has been loaded; "" if it has no results.
 * @param {Search} search
 */
export function summarize(search) {
  const { query, results, tookMs } = search;
  if (!results.length) return "";
  const order = !query.sort && hasPositiveTerm(query) ? ", best first" : "";
  return `${countOf(search)}${order} · ${Math.max(1, Math.round(tookMs))} ms`;
}

/** @param {Search} search */
function countOf({ query, results, complete, limit }) {
  const noun = query.kind === "images" ? "image" : "prompt";
  if (complete && !limit) return formatCount(results.length, noun);
  const rank = hasPositiveTerm(query) && limit ? "best" : "first";
  const places = `${rank} ${formatNumber(limit ?? results.length)} ${noun}s`;
  return limit && results.length < limit ? `${formatNumber(results.length)} of the ${places}` : `The ${places}`;
}
