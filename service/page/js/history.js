// The steps between which the browser's back and forward go. Each has an address; this visit also remembers its picture,
// its results and how far they were scrolled.

/** @import { Query } from "./query.js" */
/** @import { Search } from "./search.js" */

import { fromAddress, toAddress } from "./query.js";

const KEPT = 30; // searches whose results are remembered

/**
 * @typedef {object} Step
 * @property {File | null} picture
 * @property {Search | null} search
 * @property {number} scroll
 */

export class Steps {
  /** @param {(query: Query, step: Step, item: string) => void} changed  called when someone goes back or forward */
  constructor(changed) {
    /** @type {Map<string, Step>} */
    this.steps = new Map();
    this.key = typeof history.state?.key === "string" ? history.state.key : "";
    this.draft = false; // this step is a half-typed query, which the next one replaces
    history.scrollRestoration = "manual";
    addEventListener("popstate", () => {
      this.#leave();
      this.draft = false;
      this.key = history.state?.key ?? "";
      changed(this.query, this.step, this.item);
    });
  }

  /** What the address asks. */
  get query() {
    const query = fromAddress(location.search);
    const { picture } = this.step;
    return picture ? { ...query, picture, lost: "" } : query;
  }

  /** The picture or prompt that is open, by the address. */
  get item() {
    const item = new URLSearchParams(location.search).get("item") ?? "";
    return /^(images|prompts)\/[^/]+$/.test(item) ? item : "";
  }

  /** @returns {Step} */
  get step() {
    let step = this.steps.get(this.key);
    if (!step) {
      step = { picture: null, search: null, scroll: 0 };
      this.steps.set(this.key, step);
    }
    return step;
  }

  /**
   * Make a query the address; a new step unless it goes on with a draft.
   * @param {Query} query
   * @param {boolean} draft
   */
  go(query, draft) {
    if (draft && this.draft) {
      history.replaceState({ key: this.key }, "", toAddress(query));
    } else {
      this.#leave();
      this.key = `${Date.now()}-${this.steps.size}`; // unlike those of the page before a reload
      history.pushState({ key: this.key }, "", toAddress(query));
    }
    this.draft = draft;
    this.step.picture = query.picture;
    this.step.search = null;
  }

  /** Keep this step: what is typed from now on is another. */
  keep() {
    this.draft = false;
  }

  /**
   * Correct the address without a step.
   * @param {Query} query
   */
  correct(query) {
    history.replaceState(history.state, "", toAddress(query, this.item));
  }

  /**
   * Write into the address what is open: a step of its own, once.
   * @param {Query} query
   * @param {string} item
   */
  open(query, item) {
    const address = toAddress(query, item);
    if (this.item) history.replaceState(history.state, "", address);
    else history.pushState({ key: this.key, opened: true }, "", address);
  }

  /**
   * Take it out again, by going back where that is where one came from.
   * @param {Query} query
   */
  close(query) {
    if (!this.item) return;
    if (history.state?.opened) history.back();
    else history.replaceState({ key: this.key }, "", toAddress(query));
  }

  #leave() {
    this.step.scroll = scrollY;
    const held = [...this.steps.values()].filter(({ search }) => search);
    for (const step of held.slice(0, -KEPT)) step.search = null;
  }
}
