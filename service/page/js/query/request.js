// The query as a request to the API.

/** @import { Query } from "./query.js" */

import { hasScores, optionParameters } from "./query.js";

/**
 * Return the API's path and parameters for a query. Options that do not apply to it are left out, because the API would
 * reject them.
 * @param {Query} query
 * @returns {{ path: string, parameters: Record<string, string>, image: File | null }}
 */
export function toRequest(query) {
  const { kind, promptId, like, image } = query;
  const scored = hasScores(query);
  /** @type {Record<string, string>} */
  const parameters = {
    q: query.q.trim(),
    negative: query.negative.trim(),
    collection: query.collection,
    mode: query.q.trim() && query.mode !== "semantic" ? query.mode : "",
    ...optionParameters({
      ...query,
      minScore: scored ? query.minScore : null,
      deduplicated: scored && query.deduplicated,
      diversity: scored && !query.sort ? query.diversity : 0,
      grouped: kind === "images" && query.grouped,
    }),
  };
  if (like) parameters.terms = JSON.stringify([{ id: like.split("/")[1] }]);
  const path = promptId && !image ? `/prompts/${encodeURIComponent(promptId)}/images` : `/search/${kind}`;
  return { path, parameters, image };
}
