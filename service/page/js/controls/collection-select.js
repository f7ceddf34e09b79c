// The choice of a collection.

/** @import { Collection, CollectionList } from "../api/types.js" */

import { byId } from "../lib/dom.js";

export class CollectionSelect {
  /** @param {(name: string) => void} onChange */
  constructor(onChange) {
    /** @type {HTMLSelectElement} */
    this.select = byId("collection");
    /** @type {Collection[]} */
    this.collections = [];
    this.preferred = ""; // used if the query names no collection
    this.select.addEventListener("change", () => onChange(this.select.value));
  }

  /** @param {CollectionList} list */
  setCollections({ collections, default: preferred }) {
    this.collections = collections;
    this.preferred = preferred ?? collections[0]?.name ?? "";
    this.select.replaceChildren(...collections.map(({ name }) => new Option(name)));
    byId("collections").hidden = collections.length < 2;
  }

  /**
   * Return a collection; null if it is unknown.
   * @param {string} name  "" is the preferred one
   * @returns {Collection | null}
   */
  get(name) {
    return this.collections.find((collection) => collection.name === (name || this.preferred)) ?? null;
  }

  /** @param {string} name */
  show(name) {
    this.select.value = name || this.preferred;
  }
}
