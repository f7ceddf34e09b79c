// The entries of the browser's history. Each has a URL; this visit also remembers an entry's image, results and scroll
// position.

/** @import { Query } from "./query.js" */
/** @import { Search } from "./search.js" */

import { fromUrl, openItemOf, toUrl } from "./url.js";

const MAX_SEARCHES = 30; // whose results are remembered

/**
 * @typedef {object} Entry
 * @property {File | null} image
 * @property {Search | null} search
 * @property {number} scroll
 */

export class QueryHistory {
  /** @param {(query: Query, entry: Entry, item: string) => void} onPop  called when the user goes back or forward */
  constructor(onPop) {
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
    this.key = typeof history.state?.key === "string" ? history.state.key : "";
    this.draft = false; // the entry is a half-typed query, which the next one replaces
    history.scrollRestoration = "manual";
    addEventListener("popstate", () => {
      this.#leave();
      this.draft = false;
      this.key = history.state?.key ?? "";
      onPop(this.query, this.entry, this.item);
    });
  }

  /** The query in the URL. */
  get query() {
    const query = fromUrl(location.search);
    const { image } = this.entry;
    return image ? { ...query, image, lostImage: "" } : query;
  }

  /** The image or prompt that the URL opens: "images/ID" or "prompts/ID"; "" if none. */
  get item() {
    return openItemOf(location.search);
  }

  /** @returns {Entry} */
  get entry() {
    let entry = this.entries.get(this.key);
    if (!entry) {
      entry = { image: null, search: null, scroll: 0 };
      this.entries.set(this.key, entry);
    }
    return entry;
  }

  /**
   * Add an entry for a query; a draft replaces the draft before it.
   * @param {Query} query
   * @param {boolean} draft
   */
  push(query, draft) {
    if (draft && this.draft) {
      history.replaceState({ key: this.key }, "", toUrl(query));
    } else {
      this.#leave();
      this.key = `${Date.now()}-${this.entries.size}`; // unique, also among the keys from before a reload
      history.pushState({ key: this.key }, "", toUrl(query));
    }
    this.draft = draft;
    this.entry.image = query.image;
    this.entry.search = null;
  }

  /** Keep this entry: further typing adds another one. */
  keep() {
    this.draft = false;
  }

  /**
   * Correct the URL without a new entry.
   * @param {Query} query
   */
  replace(query) {
    history.replaceState(history.state, "", toUrl(query, this.item));
  }

  /**
   * Write the open item into the URL, in an entry of its own; moving to another item replaces it.
   * @param {Query} query
   * @param {string} item
   */
  openItem(query, item) {
    const url = toUrl(query, item);
    if (this.item) history.replaceState(history.state, "", url);
    else history.pushState({ key: this.key, opened: true }, "", url);
  }

  /**
   * Remove the open item from the URL: go back if it was opened on this page.
   * @param {Query} query
   */
  closeItem(query) {
    if (!this.item) return;
    if (history.state?.opened) history.back();
    else history.replaceState({ key: this.key }, "", toUrl(query));
  }

  #leave() {
    this.entry.scroll = scrollY;
    const withSearch = [...this.entries.values()].filter(({ search }) => search);
    for (const entry of withSearch.slice(0, -MAX_SEARCHES)) entry.search = null;
  }
}
