// The query in the page's URL. Its parameters are the API's, plus `picture`, `like`, `of`, `kind` and `item`.

/** @import { Filter } from "../api/types.js" */
/** @import { Query } from "./query.js" */

import { EMPTY_QUERY, optionParameters } from "./query.js";

const ITEM_PATH = /^(images|prompts)\/[^/]+$/;

/**
 * Return the query of a URL; parameters that cannot be parsed are ignored.
 * @param {string} search  the URL's part from the question mark
 * @returns {Query}
 */
export function fromUrl(search) {
  const parameters = new URLSearchParams(search);
  const text = (/** @type {string} */ name) => parameters.get(name) ?? "";
  const mode = text("mode");
  return {
    ...EMPTY_QUERY,
    kind: text("kind") === "prompts" ? "prompts" : "images",
    collection: text("collection"),
    q: text("q"),
    negative: text("negative"),
    lostImage: text("picture"),
    like: toItemPath(text("like")),
    promptId: text("of"),
    mode: mode === "keyword" || mode === "hybrid" ? mode : "semantic",
    sort: text("sort"),
    filter: parseFilter(text("filter")),
    minScore: parameters.has("min_score") ? parseNumber(text("min_score")) : null,
    grouped: text("group_by") === "prompt",
    deduplicated: text("deduplicate") === "true",
    diversity: parseNumber(text("diversity")) ?? 0,
  };
}

/**
 * Return the image or prompt that a URL opens, "images/ID" or "prompts/ID"; "" if none.
 * @param {string} search
 */
export const openItemOf = (search) => toItemPath(new URLSearchParams(search).get("item") ?? "");

/**
 * Return the URL of a query; it contains only the name of an image.
 * @param {Query} query
 * @param {string} [item]  the open image or prompt: "images/ID" or "prompts/ID"
 */
export function toUrl(query, item = "") {
  const parameters = {
    q: query.q,
    negative: query.negative,
    picture: query.image?.name ?? query.lostImage,
    like: query.like,
    of: query.promptId,
    kind: query.kind === "images" ? "" : query.kind,
    collection: query.collection,
    mode: query.mode === "semantic" ? "" : query.mode,
    ...optionParameters(query),
    item,
  };
  const search = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  return search.size ? `/?${search}` : "/";
}

/** @param {string} text */
const toItemPath = (text) => (ITEM_PATH.test(text) ? text : "");

/**
 * @param {string} text
 * @returns {Filter | null}
 */
function parseFilter(text) {
  try {
    const filter = JSON.parse(text);
    return typeof filter === "object" && !Array.isArray(filter) ? filter : null;
  } catch {
    return null;
  }
}

/** @param {string} text */
const parseNumber = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);
