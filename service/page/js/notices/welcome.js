// The page before the first search: example queries, each with a few results.

/** @import { Collection, ImageResult, PromptResult } from "../api/types.js" */
/** @import { Query } from "../query/query.js" */

import * as client from "../api/client.js";
import { byId, make } from "../lib/dom.js";
import { formatCount, truncate } from "../lib/format.js";

const DEMO = "emoji"; // the collection that `make demo` builds
const DEMO_QUERIES = ["happy dog", "red fruit", "flag of japan", "angry cat", "rainy weather", "birthday party"];
const THUMBNAILS = 4; // per example
const PROMPTS = 6;

export class Welcome {
  /** @param {(change: Partial<Query>) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.section = byId("welcome");
    this.examples = byId("examples");
    this.browse = byId("browse");
    this.abort = new AbortController();
    this.shown = ""; // the collection whose examples are shown
    this.browse.addEventListener("click", () => onChange({ filter: {} }));
  }

  hide() {
    this.section.hidden = true;
  }

  /** @param {Collection | null} collection */
  async show(collection) {
    this.section.hidden = false;
    if (!collection || this.shown === collection.name) return;
    this.shown = collection.name;
    const { counts, images } = collection;
    this.browse.textContent = `Browse ${images ? formatCount(counts.images, "image") : formatCount(counts.prompts, "prompt")}`;
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    const queries = collection.name === DEMO ? DEMO_QUERIES : [];
    this.examples.replaceChildren(...queries.map((q) => this.#example(q)));
    try {
      const examples = queries.length
        ? await this.#queryExamples(collection, queries, signal)
        : await this.#promptExamples(collection, signal);
      if (!signal.aborted) this.examples.replaceChildren(...examples);
    } catch {
      // The words alone are examples, too; if the service is down, the next search reports it.
      if (this.shown === collection.name && !signal.aborted) this.shown = "";
    }
  }

  /**
   * Create the examples of the demo, with the first images of each.
   * @param {Collection} collection
   * @param {string[]} queries
   * @param {AbortSignal} signal
   */
  async #queryExamples({ name }, queries, signal) {
    const searches = queries.map((q) => ({
      target: "images",
      q,
      collection: name,
      limit: THUMBNAILS,
      group_by: "prompt",
    }));
    const { results } = await client.batch(searches, signal);
    return results.map((answer, index) => {
      const images = /** @type {ImageResult[]} */ (answer.results ?? []);
      return this.#example(queries[index] ?? "", images.map(thumbnailOf));
    });
  }

  /**
   * Create examples from the prompts with the most images.
   * @param {Collection} collection
   * @param {AbortSignal} signal
   */
  async #promptExamples({ name, prompts }, signal) {
    if (!prompts) return [];
    const search = { target: "prompts", sort: "-image_count", collection: name, limit: PROMPTS };
    const { results } = await client.batch([search], signal);
    const withImages = /** @type {PromptResult[]} */ (results[0]?.results ?? []);
    return withImages.map(({ text, images }) => this.#example(text, images.map(thumbnailOf)));
  }

  /**
   * @param {string} q
   * @param {(string | null)[]} [thumbnails]  undefined while they are loading
   */
  #example(q, thumbnails) {
    const frames = (thumbnails ?? Array(THUMBNAILS).fill(null)).slice(0, THUMBNAILS).map((src) => {
      const frame = make("span", { class: "frame" });
      if (src) frame.append(make("img", { src, alt: "", decoding: "async" }));
      return frame;
    });
    const strip = make("span", { class: "strip" }, ...frames);
    const empty = thumbnails !== undefined && !thumbnails.some(Boolean);
    const text = make("span", { class: "text" }, truncate(q, 90));
    const click = () => this.onChange({ q });
    return make("li", {}, make("button", { type: "button", click }, empty ? null : strip, text));
  }
}

/** @param {{ image: { thumbnail: string | null } }} result */
const thumbnailOf = ({ image }) => image.thumbnail;
