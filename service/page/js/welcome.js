// What stands on the page before anything is asked: examples, each with what it finds.

/** @import { Collection, ImageResult, PromptResult } from "./api.js" */
/** @import { Query } from "./query.js" */

import { byId, make } from "./dom.js";
import { counted, shortened } from "./format.js";
import * as service from "./service.js";

const DEMO = "emoji"; // the collection that `make demo` builds
const QUERIES = ["happy dog", "red fruit", "flag of japan", "angry cat", "rainy weather", "birthday party"];
const EACH = 4; // pictures of an example

export class Welcome {
  /** @param {(change: Partial<Query>) => void} go */
  constructor(go) {
    this.go = go;
    this.box = byId("welcome");
    this.examples = byId("examples");
    this.asking = new AbortController();
    this.shown = ""; // the collection whose examples are there
    byId("browse").addEventListener("click", () => go({ filter: {} }));
  }

  hide() {
    this.box.hidden = true;
  }

  /** @param {Collection | null} collection */
  async show(collection) {
    this.box.hidden = false;
    if (!collection || this.shown === collection.name) return;
    this.shown = collection.name;
    const { counts, images } = collection;
    byId("browse").textContent =
      `Browse ${images ? counted(counts.images, "picture") : counted(counts.prompts, "prompt")}`;
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const queries = collection.name === DEMO ? QUERIES : [];
    this.examples.replaceChildren(...queries.map((q) => this.#example(q)));
    try {
      const found = queries.length
        ? await this.#found(collection, queries, signal)
        : await this.#typical(collection, signal);
      if (!signal.aborted) this.examples.replaceChildren(...found);
    } catch {
      // Words alone are examples, too; a service that is gone is told of by the next search.
      if (this.shown === collection.name && !signal.aborted) this.shown = "";
    }
  }

  /**
   * The examples with the first pictures of each.
   * @param {Collection} collection
   * @param {string[]} queries
   * @param {AbortSignal} signal
   */
  async #found({ name }, queries, signal) {
    const asked = queries.map((q) => ({ target: "images", q, collection: name, limit: EACH, group_by: "prompt" }));
    const { results } = await service.batch(asked, signal);
    return results.map((answer, at) => {
      const found = /** @type {ImageResult[]} */ (answer.results ?? []);
      return this.#example(
        queries[at] ?? "",
        found.map(({ image }) => image.thumbnail),
      );
    });
  }

  /**
   * What is made often in this collection: prompts are examples by themselves.
   * @param {Collection} collection
   * @param {AbortSignal} signal
   */
  async #typical({ name, prompts }, signal) {
    if (!prompts) return [];
    const asked = { target: "prompts", sort: "-image_count", collection: name, limit: 6 };
    const { results } = await service.batch([asked], signal);
    const found = /** @type {PromptResult[]} */ (results[0]?.results ?? []);
    return found.map(({ text, images }) =>
      this.#example(
        text,
        images.map(({ image }) => image.thumbnail),
      ),
    );
  }

  /**
   * @param {string} q
   * @param {(string | null)[]} [thumbnails]
   */
  #example(q, thumbnails) {
    const pictures = (thumbnails ?? Array(EACH).fill(null)).slice(0, EACH).map((source) => {
      const frame = make("span", { class: "frame" });
      if (source) frame.append(make("img", { src: source, alt: "", decoding: "async" }));
      return frame;
    });
    const strip = make("span", { class: "strip" }, ...pictures);
    const empty = thumbnails !== undefined && !thumbnails.some(Boolean);
    const button = make(
      "button",
      { type: "button", click: () => this.go({ q }) },
      empty ? null : strip,
      make("span", { class: "text" }, shortened(q, 90)),
    );
    return make("li", {}, button);
  }
}
