// Runs a search, and shows its results, its status and its notes page by page.

/** @import { Remedies } from "../notices/messages.js" */
/** @import { Notice } from "../notices/notice.js" */
/** @import { Actions } from "./tile.js" */

import { byId } from "../lib/dom.js";
import { formatSentence } from "../lib/format.js";
import { showEmpty } from "../notices/messages.js";
import { Search } from "../query/search.js";
import { Results } from "./results.js";
import { summarize } from "./summary.js";

const SLOW_MS = 250; // after this time the status line shows that a search is running

/**
 * @typedef {object} Handlers
 * @property {(search: Search) => void} onLoaded  called when the first page of a search has been loaded
 * @property {(error: unknown, retry: () => void) => void} onError
 */

export class SearchRun {
  /**
   * @param {Actions} actions  of a result
   * @param {Notice} notice
   * @param {Remedies} remedies
   * @param {Handlers} handlers
   */
  constructor(actions, notice, remedies, handlers) {
    this.main = byId("main");
    this.status = byId("status");
    this.notes = byId("notes");
    this.notice = notice;
    this.remedies = remedies;
    this.handlers = handlers;
    /** @type {Search | null} */
    this.search = null; // whose results are shown or awaited
    this.results = new Results(byId("results"), actions, () => this.loadMore());
  }

  /** Cancel the search. */
  stop() {
    this.search?.stop();
    this.search = null;
  }

  /** @param {Search} search */
  async start(search) {
    this.search = search;
    this.#setBusy(true);
    const timer = setTimeout(() => this.status.replaceChildren("Searching…"), SLOW_MS);
    try {
      await search.loadMore();
      if (this.search !== search) return;
      this.notice.reset();
      this.handlers.onLoaded(search);
      this.results.show(search);
      this.#report(search);
    } catch (error) {
      if (this.search !== search || search.stopped) return;
      this.results.clear();
      this.search = null;
      this.handlers.onError(error, this.remedies.searchAgain);
    } finally {
      clearTimeout(timer);
      if (this.search === search || this.search === null) this.#setBusy(false);
    }
  }

  async loadMore() {
    const { search } = this;
    if (!search || search.loading || search.complete || !this.notice.element.hidden) return;
    try {
      search.resume();
      await search.loadMore();
      if (this.search !== search) return;
      this.notice.reset();
      this.results.grow();
      this.#report(search);
    } catch (error) {
      if (this.search !== search || search.stopped) return;
      this.handlers.onError(error, () => this.loadMore());
    }
  }

  /**
   * Show the results of an earlier search.
   * @param {Search} search
   * @param {number} scroll
   */
  restore(search, scroll) {
    this.search = search;
    search.resume();
    this.notice.reset();
    this.#setBusy(false);
    this.#report(search);
    this.results.show(search, scroll);
  }

  /** Show nothing. */
  clear() {
    this.idle();
    this.results.clear();
    this.notes.hidden = true;
  }

  /** Show that no search is running. */
  idle() {
    this.#setBusy(false);
    this.status.textContent = "";
  }

  /** @param {Search} search  of which at least the first page has been loaded */
  #report(search) {
    this.status.textContent = summarize(search);
    this.notes.replaceChildren(...search.notes.map((note) => `${formatSentence(note)} `));
    this.notes.hidden = search.notes.length === 0;
    if (search.results.length === 0) showEmpty(this.notice, search.query, this.remedies);
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.main.setAttribute("aria-busy", String(busy));
  }
}
