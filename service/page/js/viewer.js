// The dialog in which a picture, or a prompt with its pictures, is seen large with all that is known of it.

/** @import { ImageItem, ImageResult, PromptResult, Result } from "./api.js" */

import { copyWith } from "./clipboard.js";
import { byId, icon, isTyping, make } from "./dom.js";
import { fieldName, number, score, setting } from "./format.js";
import * as service from "./service.js";
import { isThere, pictureLink, textOf } from "./tile.js";

const REST_MS = 120; // on one result, before more is asked about it
const LARGER = 3; // times that a small picture is enlarged
const LARGE = 480; // pixels, up to which that is done

/**
 * @typedef {object} Handlers
 * @property {(place: string) => void} moved  to another picture or prompt
 * @property {(left: boolean) => void} closed  `left`: the address has left it already
 * @property {(place: string, text: string, thumbnail: string | null) => void} like
 * @property {(prompt: string, text: string, thumbnail: string | null) => void} same  pictures of a prompt, by its id
 * @property {(text: string) => void} use
 * @property {(place: string) => string} address
 * @property {() => Promise<void>} more  load more of what is gone through
 * @property {() => boolean} complete  whether all of it has been loaded
 */

export class Viewer {
  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {HTMLDialogElement} */
    this.dialog = byId("viewer");
    this.stage = byId("viewer-stage");
    this.facts = byId("viewer-facts");
    this.status = byId("viewer-status");
    this.before = byId("viewer-before");
    this.after = byId("viewer-after");
    /** @type {Result[]} */
    this.results = [];
    this.index = 0;
    this.collection = "";
    this.shown = false;
    this.left = false;
    this.own = false; // going through the results, not through a prompt's pictures
    this.leaving = new AbortController();
    this.before.addEventListener("click", () => this.go(-1));
    this.after.addEventListener("click", () => this.go(1));
    byId("viewer-close").addEventListener("click", () => this.close());
    this.dialog.addEventListener("click", ({ target }) => target === this.dialog && this.close());
    // At once: the event of a dialog's end comes a moment later, when the keyboard may have gone on to another result.
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
    this.dialog.addEventListener("close", () => this.#closed()); // for what ends it without asking
    this.dialog.addEventListener("keydown", (event) => {
      if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (!step) return;
      event.preventDefault();
      this.go(step);
    });
  }

  /** "images/ID" or "prompts/ID" of what is shown; "" while closed. */
  get place() {
    const result = this.results[this.index];
    if (!this.dialog.open || !result) return "";
    return `${"text" in result ? "prompts" : "images"}/${result.id}`;
  }

  /**
   * @param {Result[]} results  to go through; more may be added to them meanwhile
   * @param {number} index
   * @param {string} collection
   * @param {boolean} own  whether they are the results of the search
   */
  show(results, index, collection, own) {
    [this.results, this.index, this.collection, this.own] = [results, index, collection, own];
    if (!this.dialog.open) this.dialog.showModal();
    this.shown = true;
    this.#draw();
  }

  /** @param {boolean} [left]  whether the address has left what is open already */
  close(left = false) {
    this.left = left;
    this.dialog.close();
    this.#closed();
  }

  /** @param {1 | -1} step */
  async go(step) {
    const { results } = this;
    if (this.own && this.index + step >= results.length - 1) await this.handlers.more();
    if (results !== this.results) return;
    if (!results[this.index + step]) {
      this.#ends();
      return;
    }
    this.index += step;
    this.#draw();
    this.handlers.moved(this.place);
  }

  #closed() {
    if (!this.shown) return;
    this.shown = false;
    this.leaving.abort();
    this.stage.replaceChildren();
    this.handlers.closed(this.left);
    this.left = false;
  }

  #draw() {
    const result = /** @type {Result} */ (this.results[this.index]);
    this.leaving.abort();
    this.leaving = new AbortController();
    this.#ends();
    this.dialog.classList.toggle("alone", this.results.length === 1 && !this.own);
    this.facts.scrollTop = 0;
    if ("text" in result) this.#drawPrompt(result);
    else this.#drawImage(result);
  }

  /** At either end there is nothing to go on to. */
  #ends() {
    const last = this.index >= this.results.length - 1 && (!this.own || this.handlers.complete());
    const ended = [this.index === 0 && this.before, last && this.after];
    // A button that is disabled would lose the keyboard, and the dialog its arrow keys.
    if (ended.some((button) => button === document.activeElement)) this.facts.focus();
    this.before.toggleAttribute("disabled", this.index === 0);
    this.after.toggleAttribute("disabled", last);
  }

  /** @param {ImageResult} result */
  #drawImage(result) {
    const { image } = result;
    const text = textOf(result);
    this.dialog.classList.remove("wordy");
    this.stage.replaceChildren(this.#picture(result, text));
    let facts = factsOf(result, {});
    const asked = this.#ask(`images/${result.id}`, (/** @type {ImageItem} */ item) => {
      facts = factsOf(result, item.extra);
      this.#facts(facts);
    });
    const settings = () => asked.then(() => facts.map((pair) => pair.join(": ")).join("\n"));
    this.#fill(result, text, "Picture", [
      text && this.#button("copy", "Copy prompt", (button) => copyWith(text, button, this.status)),
      this.#button("settings", "Copy settings", (button) => copyWith(settings(), button, this.status)),
      this.#button("like", "More like this", () => this.handlers.like(this.place, text, image.thumbnail)),
      result.prompt &&
        this.#button("pictures", "Same prompt", () =>
          this.handlers.same(result.prompt?.id ?? "", text, image.thumbnail),
        ),
      text && this.#button("search", "Use as query", () => this.handlers.use(text)),
      image.file &&
        make(
          "a",
          { class: "button", href: image.file, download: image.source.split(/[/\\]/).pop() ?? "" },
          icon("download"),
          "Download",
        ),
      /^https?:\/\//.test(image.source) &&
        make(
          "a",
          { class: "button", href: image.source, target: "_blank", rel: "noopener noreferrer" },
          icon("external"),
          "Open source",
        ),
    ]);
    this.#facts(facts);
    const next = /** @type {Partial<ImageResult> | undefined} */ (this.results[this.index + 1]);
    if (next?.image?.file) new Image().src = next.image.file; // for the key that is pressed next
  }

  /**
   * The thumbnail, which is there already, until the original is.
   * @param {ImageResult} result
   * @param {string} text
   */
  #picture({ image }, text) {
    const source = image.thumbnail ?? image.file;
    if (!source) return make("p", { class: "nothing" }, "The picture itself is not in this collection.");
    const img = make("img", { alt: text || "Picture without a prompt", src: source });
    if (image.width && image.height) {
      const side = Math.max(image.width, image.height);
      const scale = side < LARGE ? Math.min(LARGER, LARGE / side) : 1;
      [img.width, img.height] = [image.width * scale, image.height * scale];
    }
    const { signal } = this.leaving;
    if (image.file && image.thumbnail) {
      const original = new Image();
      original.onload = () => {
        if (!signal.aborted) img.src = original.src;
      };
      original.src = image.file;
    }
    return img;
  }

  /** @param {PromptResult} result */
  #drawPrompt(result) {
    const { id, text } = result;
    const pictured = result.images.some(isThere);
    this.dialog.classList.toggle("wordy", !pictured);
    const show = (/** @type {PromptResult} */ { images }) => {
      const among = images.filter(isThere).map((image) => ({ ...image, prompt: { id, text } }));
      const links = among.map((image, index) => {
        const place = `images/${image.id}`;
        return pictureLink(image, text, this.handlers.address(place), () => {
          this.show(among, index, this.collection, false);
          this.handlers.moved(place);
        });
      });
      this.stage.replaceChildren(make("div", { class: "sheet" }, ...links));
    };
    show(result);
    if (pictured && result.image_count > result.images.length) this.#ask(`prompts/${id}`, show);
    this.#fill(result, text, "Prompt", [
      this.#button("copy", "Copy prompt", (button) => copyWith(text, button, this.status)),
      this.#button("like", "More like this", () => this.handlers.like(this.place, text, null)),
      pictured && this.#button("pictures", "Same prompt", () => this.handlers.same(id, text, null)),
      this.#button("search", "Use as query", () => this.handlers.use(text)),
    ]);
    if (result.image_count) this.#facts([[pictured ? "Pictures" : "Generations", number(result.image_count)]]);
  }

  /**
   * @param {Result} result
   * @param {string} text
   * @param {string} kind
   * @param {(Node | string | null | false)[]} actions
   */
  #fill(result, text, kind, actions) {
    byId("viewer-title").textContent = kind;
    byId("viewer-score").textContent = typeof result.score === "number" ? `score ${score(result.score)}` : "";
    const prompt = text
      ? make("p", { class: "text" }, text)
      : make("p", { class: "text faint" }, "This picture has no prompt.");
    const shown = actions.filter((action) => action instanceof Node);
    this.facts.replaceChildren(prompt, make("div", { class: "actions" }, ...shown), make("dl"));
  }

  /** @param {string[][]} facts */
  #facts(facts) {
    const pairs = facts.map(([name = "", value = ""]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
    this.facts.querySelector("dl")?.replaceChildren(...pairs);
  }

  /**
   * @param {string} name  of an icon
   * @param {string} label
   * @param {(button: HTMLElement) => void} act
   */
  #button(name, label, act) {
    const click = (/** @type {Event} */ { currentTarget }) => act(/** @type {HTMLElement} */ (currentTarget));
    return make("button", { type: "button", class: "button", click }, icon(name), label);
  }

  /**
   * Ask for all that is known of one item, unless it is left at once; done when that was told, or will not be.
   * @param {string} place
   * @param {(item: any) => void} tell
   */
  async #ask(place, tell) {
    const { signal } = this.leaving;
    await new Promise((rested) => setTimeout(rested, REST_MS));
    if (signal.aborted) return;
    try {
      const item = await service.item(place, this.collection, signal);
      if (!signal.aborted) tell(item);
    } catch {} // what the results said of it is shown; a service that is gone is told of by the next search
  }
}

/**
 * Names and values of all that is known of a picture.
 * @param {ImageResult} result
 * @param {Record<string, unknown>} extra
 */
function factsOf({ settings, image }, extra) {
  const named = Object.entries({ ...settings, ...extra }).map(([name, value]) => [
    fieldName(name),
    setting(name, value),
  ]);
  const size = image.width && image.height ? [["Size", `${image.width} × ${image.height}`]] : [];
  return [...named, ...size, ["Source", image.source]];
}
