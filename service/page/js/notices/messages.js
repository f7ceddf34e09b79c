// The notice's texts when a search has no results or fails, and the remedies it offers.

/** @import { Failure } from "../api/failure.js" */
/** @import { Kind } from "../api/types.js" */
/** @import { Query } from "../query/query.js" */
/** @import { Message, Notice, Remedy } from "./notice.js" */

import { formatSentence } from "../lib/format.js";

/** @type {Record<Kind, Kind>} */
export const OTHER_KIND = { images: "prompts", prompts: "images" };

/**
 * @typedef {object} Remedies  what can be done about a search without results
 * @property {(change: Partial<Query>) => void} change
 * @property {(kind: Kind) => void} switchKind
 * @property {(collection: string) => void} switchCollection
 * @property {() => void} searchAgain
 * @property {() => void} startOver
 */

/**
 * Show that a search has no results.
 * @param {Notice} notice
 * @param {Query} query
 * @param {Remedies} remedies
 */
export function showEmpty(notice, { kind, q, mode, filter, minScore }, remedies) {
  const filtered = filter !== null || minScore !== null;
  /** @type {Remedy[]} */
  const offered = [];
  if (filtered) {
    offered.push({
      label: "Search without filters",
      act: () => remedies.change({ filter: null, minScore: null }),
    });
  }
  if (mode === "keyword")
    offered.push({ label: "Search by meaning", act: () => remedies.change({ mode: "semantic" }) });
  offered.push({ label: "Start over", act: remedies.startOver });
  const text =
    mode === "keyword" && q
      ? "No prompt contains all of these words."
      : filtered
        ? "Nothing matches all filters."
        : "This collection has nothing similar.";
  notice.show({ title: `No ${kind} found`, text }, offered);
}

/**
 * Show a failure that will not pass by itself.
 * @param {Notice} notice
 * @param {Failure} failure
 * @param {Query} query
 * @param {string} preferredCollection
 * @param {() => void} retry
 * @param {Remedies} remedies
 */
export function showFailure(notice, failure, { kind, like }, preferredCollection, retry, remedies) {
  const other = OTHER_KIND[kind];
  if (failure.type === `no-${kind.slice(0, -1)}-index` && !like) {
    notice.show({ title: `No ${kind} to search`, text: `This collection contains only ${other}.` }, [
      { label: `Search ${other}`, act: () => remedies.switchKind(other) },
    ]);
    return;
  }
  if (failure.type === "cursor-gone") {
    /** @type {Message} */
    const message = { title: "This collection has been updated", text: "These results are from an older version." };
    notice.show(message, [{ label: "Search again", act: remedies.searchAgain }]);
    return;
  }
  /** @type {Remedy[]} */
  const offered = [{ label: "Start over", act: remedies.startOver }];
  if (failure.type === "unknown-collection" && preferredCollection) {
    offered.unshift({
      label: `Search in ${preferredCollection}`,
      act: () => remedies.switchCollection(preferredCollection),
    });
  } else if (failure.status >= 500) offered.unshift({ label: "Try again", act: retry });
  notice.show({ title: "Something went wrong", text: formatSentence(failure.message) }, offered, "wrong");
}
