// A running search: one query and the results loaded so far, page by page.

/** @import { ImageResult, Result } from "../api/types.js" */
/** @import { Query } from "./query.js" */

import * as client from "../api/client.js";
import { hasScores } from "./query.js";

const FIRST_PAGE = 60; // results; fills a large screen
const NEXT_PAGE = 120;
// The service ends a search after this many places: MAX_PLACES in promptsearch/search/ranking.py; and POOL in
// promptsearch/search/paging.py if it sorts or deduplicates them.
const MAX_PLACES = 10_000;
const POOL = 1_000;

export class Search {
  /** @param {Query} query */
  constructor(query) {
    this.query = query;
    /** @type {Result[]} */
    this.results = [];
    /** @type {string[]} */
    this.notes = [];
    /** Milliseconds that the service needed for the first page. */
    this.tookMs = 0;
    /** Whether all results have been loaded. */
    this.complete = false;
    /** @type {string | null} */
    this.cursor = null;
    this.loading = false;
    this.abort = new AbortController();
  }

  get stopped() {
    return this.abort.signal.aborted;
  }

  /** The number of best places that the results come from if the service ended the search there; otherwise null. */
  get limit() {
    const { sort, deduplicated } = this.query;
    const limit = hasScores(this.query) && (sort || deduplicated) ? POOL : MAX_PLACES;
    const places = this.results.reduce((sum, result) => {
      const { more, duplicates } = /** @type {Partial<ImageResult>} */ (result);
      return sum + 1 + Math.max(more ?? 0, duplicates ?? 0);
    }, 0);
    return this.complete && places >= limit ? limit : null;
  }

  /** Load the next page; throws a Failure, or an AbortError if the search is stopped. */
  async loadMore() {
    this.loading = true;
    try {
      const limit = this.cursor ? NEXT_PAGE : FIRST_PAGE;
      const answer = await client.search(this.query, this.cursor, limit, this.abort.signal);
      if (!this.cursor) [this.notes, this.tookMs] = [answer.notes, answer.took_ms];
      this.results.push(...answer.results);
      this.cursor = answer.next;
      this.complete = !answer.next;
    } finally {
      this.loading = false;
    }
  }

  /** Cancel the page that is loading; the results stay, and loadMore() works again after resume(). */
  stop() {
    this.abort.abort();
  }

  resume() {
    if (this.stopped) this.abort = new AbortController();
  }
}
