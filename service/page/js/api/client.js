// Requests to the service.

/** @import { Answer, CollectionList, Field } from "./types.js" */
/** @import { Query } from "../query/query.js" */

import { toRequest } from "../query/request.js";
import { Failure } from "./failure.js";

const TIMEOUT_MS = 30_000;
const TYPE_PREFIX = "urn:prompt-search:";

/**
 * Load one page of a query's results.
 * @param {Query} query
 * @param {string | null} cursor
 * @param {number} limit
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export function search(query, cursor, limit, signal) {
  const { path, parameters, image } = toRequest(query);
  const size = String(limit);
  if (cursor) return get(path, { cursor, collection: query.collection, limit: size }, signal);
  if (!image) return get(path, { ...parameters, limit: size }, signal);
  const body = new FormData();
  for (const [name, value] of Object.entries({ ...parameters, limit: size })) if (value) body.append(name, value);
  body.append("image", image);
  return fetchJson(path, { method: "POST", body, signal });
}

/** @returns {Promise<CollectionList>} */
export const collections = () => get("/collections", {});

/**
 * @param {string} collection
 * @returns {Promise<Field[]>}
 */
export const fields = async (collection) =>
  (await get(`/collections/${encodeURIComponent(collection)}/fields`, {})).fields;

/**
 * @param {string} path  "images/ID" or "prompts/ID"
 * @param {string} collection
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}  an ImageItem or a PromptResult
 */
export function item(path, collection, signal) {
  const [kind, id] = path.split("/");
  return get(`/${kind}/${encodeURIComponent(id ?? "")}`, { collection }, signal);
}

/**
 * Run several searches in one request.
 * @param {object[]} queries
 * @param {AbortSignal} signal
 * @returns {Promise<{ results: Partial<Answer<any>>[] }>}
 */
export function batch(queries, signal) {
  const headers = { "Content-Type": "application/json" };
  return fetchJson("/search/batch", { method: "POST", headers, body: JSON.stringify({ queries }), signal });
}

/**
 * Exchange an API key for a cookie, which the browser then sends with every request, including those for images.
 * @param {string} key
 */
export const unlock = (key) => fetchJson("/session", { method: "POST", headers: { Authorization: `Bearer ${key}` } });

/**
 * @param {string} path
 * @param {Record<string, string>} parameters  empty values are left out
 * @param {AbortSignal} [signal]
 */
function get(path, parameters, signal) {
  const search = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  return fetchJson(search.size ? `${path}?${search}` : path, { signal });
}

/**
 * Return the response's JSON; throws a Failure, or an AbortError if `signal` was aborted.
 * @param {string} url
 * @param {RequestInit} options
 * @returns {Promise<any>}
 */
async function fetchJson(url, options) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  try {
    const response = await fetch(url, { ...options, signal });
    if (response.status === 204) return null;
    if (response.ok) return await response.json();
    throw await toFailure(response);
  } catch (error) {
    if (error instanceof Failure || options.signal?.aborted) throw error;
    throw new Failure("The service is not responding.");
  }
}

/** @param {Response} response */
async function toFailure(response) {
  /** @type {{ type?: string, detail?: string }} */
  const problem = await response.json().catch(() => ({}));
  return new Failure(problem.detail ?? `The service responded with status ${response.status}.`, {
    type: (problem.type ?? "").replace(TYPE_PREFIX, ""),
    status: response.status,
    wait: Number(response.headers.get("Retry-After")) || 0,
  });
}
