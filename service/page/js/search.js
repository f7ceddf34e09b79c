// One query and the results that have been loaded of it, page by page.

/** @import { ImageResult, Result } from "./api.js" */
/** @import { Query } from "./query.js" */

import { isCompared } from "./query.js";
import * as service from "./service.js";

const FIRST = 60; // results; what fills a large screen
const FURTHER = 120;
// Best places at which the service ends a search: promptsearch/search/ranking.py, MAX_PLACES; and where they are put into
// another order or folded: promptsearch/search/paging.py, POOL.
const PLACES = 10_000;
const POOL = 1_000;

export class Search {
  /** @param {Query} query */
  constructor(query) {
    this.query = query;
    /** @type {Result[]} */
    this.results = [];
    /** @type {string[]} */
    this.notes = [];
    /** Milliseconds that the service took for the first page. */
    this.took = 0;
    /** Whether all there is has been loaded. */
    this.complete = false;
    /** @type {string | null} */
    this.cursor = null;
    this.loading = false;
    this.stopping = new AbortController();
  }

  get stopped() {
    return this.stopping.signal.aborted;
  }

  /** How many of the best places all these results are of, where there may be more behind them; else null. */
  get limit() {
    const { sort, deduplicated } = this.query;
    const limit = isCompared(this.query) && (sort || deduplicated) ? POOL : PLACES;
    const places = this.results.reduce((sum, result) => {
      const { more, duplicates } = /** @type {Partial<ImageResult>} */ (result);
      return sum + 1 + Math.max(more ?? 0, duplicates ?? 0);
    }, 0);
    return this.complete && places >= limit ? limit : null;
  }

  /** Load the next page; throws a Failure, or an AbortError once the search is stopped. */
  async more() {
    this.loading = true;
    try {
      const limit = this.cursor ? FURTHER : FIRST;
      const answer = await service.search(this.query, this.cursor, limit, this.stopping.signal);
      if (!this.cursor) [this.notes, this.took] = [answer.notes, answer.took_ms];
      this.results.push(...answer.results);
      this.cursor = answer.next;
      this.complete = !answer.next;
    } finally {
      this.loading = false;
    }
  }

  /** Give up whatever is being loaded; what is there stays, and more() goes on when it is wanted again. */
  stop() {
    this.stopping.abort();
  }

  /** Go on after a stop. */
  resume() {
    if (this.stopped) this.stopping = new AbortController();
  }
}
