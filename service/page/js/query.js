// What is asked. A query never changes: another one is made of it. Its names in the page's address are the API's own.

/** @import { Filter, Kind, Mode } from "./api.js" */

/**
 * @typedef {object} Query
 * @property {Kind} kind
 * @property {string} collection  "" is the service's default
 * @property {string} q
 * @property {string} negative
 * @property {File | null} picture
 * @property {string} lost  the name of a picture that the address cannot carry
 * @property {string} like  "images/ID" or "prompts/ID": an item that results are to be like
 * @property {string} of  the id of the prompt whose pictures are asked for
 * @property {Mode} mode
 * @property {string} sort  a field, "-" before it for the greatest first; "" is by score
 * @property {Filter | null} filter  {}: everything
 * @property {number | null} minScore
 * @property {boolean} grouped  one picture a prompt
 * @property {boolean} deduplicated
 * @property {number} diversity
 */

/** @type {Readonly<Query>} */
export const NOTHING = Object.freeze({
  kind: "images",
  collection: "",
  q: "",
  negative: "",
  picture: null,
  lost: "",
  like: "",
  of: "",
  mode: "semantic",
  sort: "",
  filter: null,
  minScore: null,
  grouped: false,
  deduplicated: false,
  diversity: 0,
});

/** What is asked for, without how the answer is to look. */
export const UNASKED = Object.freeze({ q: "", negative: "", picture: null, lost: "", like: "", of: "" });

/**
 * Whether there is a text or picture that results are compared with.
 * @param {Query} query
 */
export const isCompared = (query) =>
  query.q.trim() !== "" || query.negative.trim() !== "" || query.picture !== null || query.like !== "";

/**
 * Whether there is anything to ask the service.
 * @param {Query} query
 */
export const isAsked = (query) => isCompared(query) || query.of !== "" || query.filter !== null || query.sort !== "";

/**
 * How many conditions and options are set in the panel of filters.
 * @param {Query} query
 */
export const conditions = ({ filter, minScore, grouped, deduplicated, diversity }) =>
  Object.keys(filter ?? {}).length + [minScore !== null, grouped, deduplicated, diversity > 0].filter(Boolean).length;

/**
 * The query that an address holds; what cannot be read in it is left out.
 * @param {string} address  its part from the question mark
 * @returns {Query}
 */
export function fromAddress(address) {
  const given = new URLSearchParams(address);
  const text = (/** @type {string} */ name) => given.get(name) ?? "";
  const mode = text("mode");
  return {
    ...NOTHING,
    kind: text("kind") === "prompts" ? "prompts" : "images",
    collection: text("collection"),
    q: text("q"),
    negative: text("negative"),
    lost: text("picture"),
    like: /^(images|prompts)\/[^/]+$/.test(text("like")) ? text("like") : "",
    of: text("of"),
    mode: mode === "keyword" || mode === "hybrid" ? mode : "semantic",
    sort: text("sort"),
    filter: readFilter(text("filter")),
    minScore: given.has("min_score") ? numberOf(text("min_score")) : null,
    grouped: text("group_by") === "prompt",
    deduplicated: text("deduplicate") === "true",
    diversity: numberOf(text("diversity")) ?? 0,
  };
}

/**
 * The address of a query, of a picture only its name.
 * @param {Query} query
 * @param {string} [item]  the picture or prompt that is open: "images/ID" or "prompts/ID"
 */
export function toAddress(query, item = "") {
  const given = {
    q: query.q,
    negative: query.negative,
    picture: query.picture?.name ?? query.lost,
    like: query.like,
    of: query.of,
    kind: query.kind === "images" ? "" : query.kind,
    collection: query.collection,
    mode: query.mode === "semantic" ? "" : query.mode,
    ...options(query),
    item,
  };
  const held = new URLSearchParams(Object.entries(given).filter(([, value]) => value));
  return held.size ? `/?${held}` : "/";
}

/**
 * The API's address and parameters for a query; without what does not apply to it, which the API would refuse.
 * @param {Query} query
 * @returns {{ path: string, parameters: Record<string, string>, picture: File | null }}
 */
export function request(query) {
  const { kind, of, like, picture } = query;
  const compared = isCompared(query);
  /** @type {Record<string, string>} */
  const parameters = {
    q: query.q.trim(),
    negative: query.negative.trim(),
    collection: query.collection,
    mode: query.q.trim() && query.mode !== "semantic" ? query.mode : "",
    ...options({
      ...query,
      minScore: compared ? query.minScore : null,
      deduplicated: compared && query.deduplicated,
      diversity: compared && !query.sort ? query.diversity : 0,
      grouped: kind === "images" && query.grouped,
    }),
  };
  if (like) parameters.terms = JSON.stringify([{ id: like.split("/")[1] }]);
  const path = of && !picture ? `/prompts/${encodeURIComponent(of)}/images` : `/search/${kind}`;
  return { path, parameters, picture };
}

/** @param {Query} query */
const options = ({ sort, filter, minScore, grouped, deduplicated, diversity }) => ({
  sort,
  filter: filter ? JSON.stringify(filter) : "",
  min_score: minScore === null ? "" : String(minScore),
  group_by: grouped ? "prompt" : "",
  deduplicate: deduplicated ? "true" : "",
  diversity: diversity ? String(diversity) : "",
});

/**
 * @param {string} text
 * @returns {Filter | null}
 */
function readFilter(text) {
  try {
    const found = JSON.parse(text);
    return typeof found === "object" && !Array.isArray(found) ? found : null;
  } catch {
    return null;
  }
}

/** @param {string} text */
const numberOf = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);
