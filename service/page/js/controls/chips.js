// The chips: everything in the query besides its words, each with a button that removes it.

/** @import { Query } from "../query/query.js" */

import * as client from "../api/client.js";
import { byId, icon, make } from "../lib/dom.js";
import { formatFieldName, formatScore, truncate } from "../lib/format.js";
import { describeCondition, withCondition } from "../query/filter.js";
import { NO_OPTIONS, NO_TERMS } from "../query/query.js";
import { promptOf } from "../results/thumbnail.js";

/** @typedef {{ text: string, thumbnail: string | null }} Item  an image or prompt in a chip */

export class Chips {
  /** @param {(change: Partial<Query>) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.list = byId("chips");
    /** @type {Map<string, Item>} */
    this.items = new Map(); // by path
    this.preview = "";
    this.abort = new AbortController();
  }

  /**
   * Remember an item, so that it need not be requested.
   * @param {string} path
   * @param {Item} item
   */
  remember(path, item) {
    this.items.set(path, item);
  }

  /**
   * Return the query as words, for a collection in which its ids mean nothing.
   * @param {Query} query
   */
  asWords({ like, promptId, q }) {
    return q || (this.items.get(like || `prompts/${promptId}`)?.text ?? "");
  }

  /** @param {Query} query */
  show(query) {
    this.abort.abort();
    this.abort = new AbortController();
    URL.revokeObjectURL(this.preview);
    this.preview = query.image ? URL.createObjectURL(query.image) : "";
    const chips = [...this.#termChips(query), ...this.#conditionChips(query), ...this.#optionChips(query)];
    if (chips.length > 1) chips.push(this.#clearButton(query));
    this.list.replaceChildren(...chips);
    this.list.hidden = chips.length === 0;
  }

  /** @param {Query} query */
  #termChips(query) {
    const chips = [];
    if (query.image) chips.push(this.#chip(query.image.name || "Image", { image: null }, this.preview));
    if (query.like) chips.push(this.#itemChip(query, query.like, "Like", { like: "" }));
    if (query.promptId) {
      chips.push(this.#itemChip(query, `prompts/${query.promptId}`, "Images of", { promptId: "" }));
    }
    return chips;
  }

  /** @param {Query} query */
  #conditionChips(query) {
    return Object.entries(query.filter ?? {}).map(([name, condition]) =>
      this.#chip(
        `${formatFieldName(name)}: ${describeCondition(name, condition)}`,
        withCondition(query, name, undefined),
      ),
    );
  }

  /** @param {Query} query */
  #optionChips({ minScore, grouped, deduplicated, diversity, filter }) {
    const chips = [];
    if (minScore !== null) chips.push(this.#chip(`Minimum score: ${formatScore(minScore)}`, { minScore: null }));
    if (grouped) chips.push(this.#chip("One image per prompt", { grouped: false }));
    if (deduplicated) chips.push(this.#chip("Near-duplicates hidden", { deduplicated: false }));
    if (diversity) chips.push(this.#chip("More variety", { diversity: 0 }));
    if (filter && !Object.keys(filter).length) chips.push(this.#chip("Everything", { filter: null }));
    return chips;
  }

  /** @param {Query} query */
  #clearButton({ q, negative }) {
    const click = () => this.#apply({ ...NO_TERMS, ...NO_OPTIONS, q, negative });
    return make("li", {}, make("button", { type: "button", class: "quiet", click }, "Clear all"));
  }

  /** @param {Partial<Query>} change */
  #apply(change) {
    byId("q").focus({ preventScroll: true }); // because the focused button is about to be removed
    this.onChange(change);
  }

  /**
   * @param {string} text
   * @param {Partial<Query>} removal  the change that removes it from the query
   * @param {string | null} [image]  URL
   */
  #chip(text, removal, image = null) {
    const removeImage = (/** @type {Event} */ { target }) => /** @type {Element} */ (target).remove();
    return make(
      "li",
      { class: "chip" },
      image !== null && image !== "" && make("img", { src: image, alt: "", error: removeImage }),
      make("span", { class: "label", title: text }, truncate(text, 80)),
      make(
        "button",
        { type: "button", "aria-label": `Remove: ${truncate(text, 80)}`, click: () => this.#apply(removal) },
        icon("close"),
      ),
    );
  }

  /**
   * Create the chip of an item, which is requested if it is not known yet.
   * @param {Query} query
   * @param {string} path
   * @param {string} label
   * @param {Partial<Query>} removal
   */
  #itemChip(query, path, label, removal) {
    const itemChip = (/** @type {Item} */ { text, thumbnail }) =>
      this.#chip(text ? `${label} “${text}”` : `${label} an image`, removal, thumbnail);
    const known = this.items.get(path);
    if (known) return itemChip(known);
    const placeholder = this.#chip(`${label} …`, removal);
    const { signal } = this.abort;
    client.item(path, query.collection, signal).then(
      (response) => {
        const item = {
          text: response.text ?? promptOf(response),
          thumbnail: (response.image ?? response.images[0]?.image)?.thumbnail ?? null,
        };
        this.remember(path, item);
        if (!signal.aborted) placeholder.replaceWith(itemChip(item));
      },
      () => {}, // the search itself reports an unknown id
    );
    return placeholder;
  }
}
