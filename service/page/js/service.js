// The service, as the page asks it.

/** @import { Answer, CollectionList, Field } from "./api.js" */
/** @import { Query } from "./query.js" */

import { request } from "./query.js";

const PATIENCE_MS = 30_000;
const TYPES = "urn:prompt-search:";

/** Why there is no answer, in words for the person who asked. */
export class Failure extends Error {
  /**
   * @param {string} message
   * @param {object} [known]
   * @param {string} [known.type]  of the problem document, without its prefix; "unreachable" where no answer came
   * @param {number} [known.status]
   * @param {number} [known.wait]  seconds after which the service wants to be asked again
   */
  constructor(message, { type = "unreachable", status = 0, wait = 0 } = {}) {
    super(message);
    this.type = type;
    this.status = status;
    this.wait = wait;
  }

  /** Whether asking again, a little later, may help. */
  get passes() {
    return (
      this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504
    );
  }
}

/**
 * One page of a query's results.
 * @param {Query} query
 * @param {string | null} cursor
 * @param {number} limit
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export function search(query, cursor, limit, signal) {
  const { path, parameters, picture } = request(query);
  const size = String(limit);
  if (cursor) return get(path, { cursor, collection: query.collection, limit: size }, signal);
  if (!picture) return get(path, { ...parameters, limit: size }, signal);
  const body = new FormData();
  for (const [name, value] of Object.entries({ ...parameters, limit: size })) if (value) body.append(name, value);
  body.append("image", picture);
  return answered(path, { method: "POST", body, signal });
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
 * @param {string} place  "images/ID" or "prompts/ID"
 * @param {string} collection
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}  an ImageItem or a PromptResult
 */
export function item(place, collection, signal) {
  const [kind, id] = place.split("/");
  return get(`/${kind}/${encodeURIComponent(id ?? "")}`, { collection }, signal);
}

/**
 * Several searches in one go.
 * @param {object[]} queries
 * @param {AbortSignal} signal
 * @returns {Promise<{ results: Partial<Answer<any>>[] }>}
 */
export function batch(queries, signal) {
  const headers = { "Content-Type": "application/json" };
  return answered("/search/batch", { method: "POST", headers, body: JSON.stringify({ queries }), signal });
}

/**
 * Exchange an API key for a cookie, which the browser then sends with every request and every picture.
 * @param {string} key
 */
export const unlock = (key) => answered("/session", { method: "POST", headers: { Authorization: `Bearer ${key}` } });

/**
 * @param {string} path
 * @param {Record<string, string>} parameters  those without a value are left out
 * @param {AbortSignal} [signal]
 */
function get(path, parameters, signal) {
  const given = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  return answered(given.size ? `${path}?${given}` : path, { signal });
}

/**
 * The answer's JSON; throws a Failure, or an AbortError where `signal` ended it.
 * @param {string} address
 * @param {RequestInit} how
 * @returns {Promise<any>}
 */
async function answered(address, how) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const signal = how.signal ? AbortSignal.any([how.signal, patience]) : patience;
  try {
    const response = await fetch(address, { ...how, signal });
    if (response.status === 204) return null;
    if (response.ok) return await response.json();
    throw await failure(response);
  } catch (error) {
    if (error instanceof Failure || how.signal?.aborted) throw error;
    throw new Failure("The service does not answer.");
  }
}

/** @param {Response} response */
async function failure(response) {
  /** @type {{ type?: string, detail?: string }} */
  const problem = await response.json().catch(() => ({}));
  return new Failure(problem.detail ?? `The service answered ${response.status}.`, {
    type: (problem.type ?? "").replace(TYPES, ""),
    status: response.status,
    wait: Number(response.headers.get("Retry-After")) || 0,
  });
}
