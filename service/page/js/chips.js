// What a query holds beside its words, as a row of things that can be taken out of it again.

/** @import { Query } from "./query.js" */

import { inWords, withCondition } from "./condition.js";
import { byId, icon, make } from "./dom.js";
import { fieldName, score, shortened } from "./format.js";
import { UNASKED } from "./query.js";
import * as service from "./service.js";
import { textOf } from "./tile.js";

/** @typedef {{ text: string, thumbnail: string | null }} Subject  what "like" and "of" are about */

export class Chips {
  /** @param {(change: Partial<Query>) => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.list = byId("chips");
    /** @type {Map<string, Subject>} */
    this.subjects = new Map();
    this.preview = "";
    this.asking = new AbortController();
  }

  /**
   * Remember what an item is, so that it need not be asked for.
   * @param {string} place
   * @param {Subject} subject
   */
  know(place, subject) {
    this.subjects.set(place, subject);
  }

  /**
   * The words of what a query is about, for where its id means nothing.
   * @param {Query} query
   */
  wordsOf({ like, of, q }) {
    return q || (this.subjects.get(like || `prompts/${of}`)?.text ?? "");
  }

  /** @param {Query} query */
  show(query) {
    this.asking.abort();
    this.asking = new AbortController();
    URL.revokeObjectURL(this.preview);
    this.preview = query.picture ? URL.createObjectURL(query.picture) : "";
    const chips = [];
    if (query.picture) chips.push(this.#chip(query.picture.name || "Picture", { picture: null }, this.preview));
    if (query.like) chips.push(this.#subject(query, query.like, "Like", { like: "" }));
    if (query.of) chips.push(this.#subject(query, `prompts/${query.of}`, "Pictures of", { of: "" }));
    for (const [name, condition] of Object.entries(query.filter ?? {})) {
      chips.push(this.#chip(`${fieldName(name)}: ${inWords(name, condition)}`, withCondition(query, name, undefined)));
    }
    if (query.minScore !== null) chips.push(this.#chip(`Score from ${score(query.minScore)}`, { minScore: null }));
    if (query.grouped) chips.push(this.#chip("One picture per prompt", { grouped: false }));
    if (query.deduplicated) chips.push(this.#chip("Without near-duplicates", { deduplicated: false }));
    if (query.diversity) chips.push(this.#chip("Varied", { diversity: 0 }));
    if (query.filter && !Object.keys(query.filter).length) chips.push(this.#chip("Everything", { filter: null }));
    if (chips.length > 1) {
      const nothing = { ...UNASKED, q: query.q, negative: query.negative };
      const clear = { ...nothing, filter: null, minScore: null, grouped: false, deduplicated: false, diversity: 0 };
      chips.push(
        make("li", {}, make("button", { type: "button", class: "quiet", click: () => this.#take(clear) }, "Clear all")),
      );
    }
    this.list.replaceChildren(...chips);
    this.list.hidden = chips.length === 0;
  }

  /** @param {Partial<Query>} change */
  #take(change) {
    byId("q").focus({ preventScroll: true }); // the button is about to be gone
    this.changed(change);
  }

  /**
   * @param {string} text
   * @param {Partial<Query>} without  the change that takes it out
   * @param {string | null} [picture]
   */
  #chip(text, without, picture = null) {
    const label = make("span", { class: "label", title: text }, shortened(text, 80));
    return make(
      "li",
      { class: "chip" },
      picture !== null &&
        picture !== "" &&
        make("img", {
          src: picture,
          alt: "",
          error: (/** @type {Event} */ { target }) => /** @type {Element} */ (target).remove(),
        }),
      label,
      make(
        "button",
        { type: "button", "aria-label": `Remove: ${shortened(text, 80)}`, click: () => this.#take(without) },
        icon("close"),
      ),
    );
  }

  /**
   * @param {Query} query
   * @param {string} place
   * @param {string} how
   * @param {Partial<Query>} without
   */
  #subject(query, place, how, without) {
    const named = (/** @type {Subject} */ { text, thumbnail }) =>
      this.#chip(text ? `${how} “${text}”` : `${how} a picture`, without, thumbnail);
    const known = this.subjects.get(place);
    if (known) return named(known);
    const chip = this.#chip(`${how} …`, without);
    const { signal } = this.asking;
    service.item(place, query.collection, signal).then(
      (item) => {
        const subject = {
          text: item.text ?? textOf(item),
          thumbnail: (item.image ?? item.images[0]?.image)?.thumbnail ?? null,
        };
        this.know(place, subject);
        if (!signal.aborted) chip.replaceWith(named(subject));
      },
      () => {}, // the search itself says what is wrong with the id
    );
    return chip;
  }
}
