// The query: an immutable value; every change makes a new one.

/** @import { Filter, Kind, Mode } from "../api/types.js" */

import { truncate } from "../lib/format.js";

/**
 * @typedef {object} Query
 * @property {Kind} kind
 * @property {string} collection  "" is the service's default
 * @property {string} q
 * @property {string} negative
 * @property {File | null} image
 * @property {string} lostImage  name of an image that the page's URL cannot contain
 * @property {string} like  "images/ID" or "prompts/ID": an item that results should resemble
 * @property {string} promptId  of the prompt whose images are listed
 * @property {Mode} mode
 * @property {string} sort  a field, with a leading "-" for descending order; "" sorts by score
 * @property {Filter | null} filter  {} matches everything
 * @property {number | null} minScore
 * @property {boolean} grouped  one image per prompt
 * @property {boolean} deduplicated
 * @property {number} diversity
 */

/** What results are compared with or taken from, all empty. */
export const NO_TERMS = Object.freeze({ q: "", negative: "", image: null, lostImage: "", like: "", promptId: "" });

/** What limits or rearranges results, all empty. */
export const NO_OPTIONS = Object.freeze({
  filter: null,
  minScore: null,
  grouped: false,
  deduplicated: false,
  diversity: 0,
});

/** @type {Readonly<Query>} */
export const EMPTY_QUERY = Object.freeze({
  ...NO_TERMS,
  ...NO_OPTIONS,
  kind: "images",
  collection: "",
  mode: "semantic",
  sort: "",
});

/**
 * Whether there is a text or image that results are ranked by their similarity to.
 * @param {Query} query
 */
export const hasPositiveTerm = ({ q, image, like }) => q.trim() !== "" || image !== null || like !== "";

/**
 * Whether results have a score: there is a text or image to compare them with, or to keep away from.
 * @param {Query} query
 */
export const hasScores = (query) => hasPositiveTerm(query) || query.negative.trim() !== "";

/**
 * Whether the query is a request to the service; if not, the page shows its welcome.
 * @param {Query} query
 */
export const isSearch = (query) =>
  hasScores(query) || query.promptId !== "" || query.filter !== null || query.sort !== "";

/**
 * Count the conditions and options set in the filter panel.
 * @param {Query} query
 */
export const countOptions = ({ filter, minScore, grouped, deduplicated, diversity }) =>
  Object.keys(filter ?? {}).length + [minScore !== null, grouped, deduplicated, diversity > 0].filter(Boolean).length;

/**
 * Return the API parameters for the filter panel's options and the order; "" if not set.
 * @param {Query} query
 */
export const optionParameters = ({ sort, filter, minScore, grouped, deduplicated, diversity }) => ({
  sort,
  filter: filter ? JSON.stringify(filter) : "",
  min_score: minScore === null ? "" : String(minScore),
  group_by: grouped ? "prompt" : "",
  deduplicate: deduplicated ? "true" : "",
  diversity: diversity ? String(diversity) : "",
});

/**
 * Return the title of the page that shows a query.
 * @param {Query} query
 */
export function titleOf({ q, like, promptId, image }) {
  const subject = q.trim() || (like || promptId ? "similar" : image ? "image" : "");
  return subject ? `${truncate(subject, 60)} · prompt-search` : "prompt-search";
}
