// The dialog that shows one image or prompt with its details.

/** @import { ImageItem, ImageResult, PromptResult, Result } from "../api/types.js" */

import * as client from "../api/client.js";
import { copyWithFeedback } from "../lib/clipboard.js";
import { byId } from "../lib/dom.js";
import { formatNumber } from "../lib/format.js";
import { hasImage, promptOf } from "../results/thumbnail.js";
import { actionButton, actionLink, Details } from "./details.js";
import { factsOf } from "./facts.js";
import { bindViewerKeys } from "./keys.js";
import { sheet, stageImage } from "./stage.js";

const REST_MS = 120; // on one result before its details are requested

/**
 * @typedef {object} Handlers
 * @property {(path: string) => void} onMove  called when another image or prompt is shown
 * @property {(leftByHistory: boolean) => void} onClose  `leftByHistory`: the URL no longer has the item
 * @property {(path: string, text: string, thumbnail: string | null) => void} findSimilar
 * @property {(promptId: string, text: string, thumbnail: string | null) => void} showPromptImages
 * @property {(text: string) => void} useAsQuery
 * @property {(path: string) => string} urlOf
 * @property {() => Promise<void>} loadMore  results of the search
 * @property {() => boolean} isComplete  whether all results of the search have been loaded
 */

export class Viewer {
  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {HTMLDialogElement} */
    this.dialog = byId("viewer");
    this.stage = byId("viewer-stage");
    this.details = new Details();
    this.status = byId("viewer-status");
    this.previous = byId("viewer-previous");
    this.next = byId("viewer-next");
    /** @type {Result[]} */
    this.results = [];
    this.index = 0;
    this.collection = "";
    this.isOpen = false;
    this.leftByHistory = false;
    this.followsSearch = false; // moves through the results of the search, not the images of one prompt
    this.leaving = new AbortController(); // aborted when another result is shown
    this.previous.addEventListener("click", () => this.move(-1));
    this.next.addEventListener("click", () => this.move(1));
    byId("viewer-close").addEventListener("click", () => this.close());
    this.dialog.addEventListener("click", ({ target }) => target === this.dialog && this.close());
    bindViewerKeys(
      this.dialog,
      (step) => this.move(step),
      () => this.close(),
    );
    this.dialog.addEventListener("close", () => this.#onClosed()); // if the browser closed it by itself
  }

  /** The path of what is shown, "images/ID" or "prompts/ID"; "" while closed. */
  get path() {
    const result = this.results[this.index];
    if (!this.dialog.open || !result) return "";
    return `${"text" in result ? "prompts" : "images"}/${result.id}`;
  }

  /**
   * @param {Result[]} results  to move through; it may grow meanwhile
   * @param {number} index
   * @param {string} collection
   * @param {boolean} followsSearch  whether they are the results of the search
   */
  show(results, index, collection, followsSearch) {
    [this.results, this.index, this.collection, this.followsSearch] = [results, index, collection, followsSearch];
    if (!this.dialog.open) this.dialog.showModal();
    this.isOpen = true;
    this.#render();
  }

  /** @param {boolean} [leftByHistory]  whether the URL no longer has the item */
  close(leftByHistory = false) {
    this.leftByHistory = leftByHistory;
    this.dialog.close();
    this.#onClosed();
  }

  /** @param {1 | -1} step */
  async move(step) {
    const { results } = this;
    if (this.followsSearch && this.index + step >= results.length - 1) await this.handlers.loadMore();
    if (results !== this.results) return;
    if (!results[this.index + step]) {
      this.#updateButtons();
      return;
    }
    this.index += step;
    this.#render();
    this.handlers.onMove(this.path);
  }

  #onClosed() {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.leaving.abort();
    this.stage.replaceChildren();
    this.handlers.onClose(this.leftByHistory);
    this.leftByHistory = false;
  }

  #render() {
    const result = /** @type {Result} */ (this.results[this.index]);
    this.leaving.abort();
    this.leaving = new AbortController();
    this.#updateButtons();
    this.dialog.classList.toggle("alone", this.results.length === 1 && !this.followsSearch);
    if ("text" in result) this.#renderPrompt(result);
    else this.#renderImage(result);
  }

  /** Disable the buttons that lead nowhere. */
  #updateButtons() {
    const atStart = this.index === 0;
    const atEnd = this.index >= this.results.length - 1 && (!this.followsSearch || this.handlers.isComplete());
    const disabled = [atStart && this.previous, atEnd && this.next];
    // A disabled button loses the focus, and then the dialog would not receive the arrow keys.
    if (disabled.some((button) => button === document.activeElement)) this.details.focus();
    this.previous.toggleAttribute("disabled", atStart);
    this.next.toggleAttribute("disabled", atEnd);
  }

  /** @param {ImageResult} result */
  #renderImage(result) {
    const text = promptOf(result);
    this.dialog.classList.remove("wordy");
    this.stage.replaceChildren(stageImage(result, text, this.leaving.signal));
    let facts = factsOf(result, {});
    const loading = this.#loadItem(`images/${result.id}`, (/** @type {ImageItem} */ item) => {
      facts = factsOf(result, item.extra);
      this.details.setFacts(facts);
    });
    const settings = () => loading.then(() => facts.map((fact) => fact.join(": ")).join("\n"));
    this.details.show("Image", result.score, text, this.#imageActions(result, text, settings));
    this.details.setFacts(facts);
    const following = /** @type {Partial<ImageResult> | undefined} */ (this.results[this.index + 1]);
    if (following?.image?.file) new Image().src = following.image.file; // preloaded for the next step
  }

  /**
   * @param {ImageResult} result
   * @param {string} text
   * @param {() => Promise<string>} settings
   */
  #imageActions({ image, prompt }, text, settings) {
    const { handlers } = this;
    return [
      text && this.#copyButton(text),
      actionButton("settings", "Copy settings", (button) => copyWithFeedback(settings(), button, this.status)),
      actionButton("like", "More like this", () => handlers.findSimilar(this.path, text, image.thumbnail)),
      prompt &&
        actionButton("images", "Same prompt", () => handlers.showPromptImages(prompt.id, text, image.thumbnail)),
      text && actionButton("search", "Use as query", () => handlers.useAsQuery(text)),
      image.file &&
        actionLink("download", "Download", {
          href: image.file,
          download: image.source.split(/[/\\]/).pop() ?? "",
        }),
      /^https?:\/\//.test(image.source) &&
        actionLink("external", "Open source", { href: image.source, target: "_blank", rel: "noopener noreferrer" }),
    ];
  }

  /** @param {PromptResult} result */
  #renderPrompt(result) {
    const { id, text } = result;
    const { handlers } = this;
    const hasImages = result.images.some(hasImage);
    this.dialog.classList.toggle("wordy", !hasImages);
    this.#renderSheet(result);
    if (hasImages && result.image_count > result.images.length) {
      this.#loadItem(`prompts/${id}`, (item) => this.#renderSheet(item));
    }
    this.details.show("Prompt", result.score, text, [
      this.#copyButton(text),
      actionButton("like", "More like this", () => handlers.findSimilar(this.path, text, null)),
      hasImages && actionButton("images", "Same prompt", () => handlers.showPromptImages(id, text, null)),
      actionButton("search", "Use as query", () => handlers.useAsQuery(text)),
    ]);
    if (result.image_count) {
      this.details.setFacts([[hasImages ? "Images" : "Generations", formatNumber(result.image_count)]]);
    }
  }

  /** @param {PromptResult} result */
  #renderSheet({ id, text, images }) {
    const shown = images.filter(hasImage).map((image) => ({ ...image, prompt: { id, text } }));
    const open = (/** @type {string} */ path, /** @type {number} */ index) => {
      this.show(shown, index, this.collection, false);
      this.handlers.onMove(path);
    };
    this.stage.replaceChildren(sheet(shown, text, this.handlers.urlOf, open));
  }

  /** @param {string} text */
  #copyButton(text) {
    return actionButton("copy", "Copy prompt", (button) => copyWithFeedback(text, button, this.status));
  }

  /**
   * Load an item and pass it to `onLoad`, unless the viewer moves on first. Resolves when that has happened or failed.
   * @param {string} path
   * @param {(item: any) => void} onLoad
   */
  async #loadItem(path, onLoad) {
    const { signal } = this.leaving;
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    if (signal.aborted) return;
    try {
      const item = await client.item(path, this.collection, signal);
      if (!signal.aborted) onLoad(item);
    } catch {} // the result's own data is shown; if the service is down, the next search reports it
  }
}
