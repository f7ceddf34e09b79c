// The results of a search, as rows of pictures or as a list of prompts, to any length.

/** @import { ImageResult, PromptResult } from "./api.js" */
/** @import { Search } from "./search.js" */
/** @import { Actions } from "./tile.js" */

import { beside, Justified, Stacked } from "./layout.js";
import { imageTile, isThere, promptRow } from "./tile.js";
import { Windowed } from "./windowing.js";

const AHEAD = 1.5; // windows below which more is loaded
const NARROW = 560; // pixels

export class Results {
  /**
   * @param {HTMLElement} list
   * @param {Actions} actions
   * @param {() => void} more  called when the end comes near
   */
  constructor(list, actions, more) {
    this.list = list;
    this.more = more;
    /** @type {Search | null} */
    this.search = null;
    /** @type {Justified | Stacked} */
    this.layout = new Stacked({ width: 0, row: 1, gap: 0 });
    this.placed = 0; // results that the layout knows
    this.windowed = new Windowed(list, (index) => this.#draw(index, actions));
    this.width = 0;
    new ResizeObserver(() => this.#resized()).observe(list);
    list.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("scroll", () => this.#near(), { passive: true });
  }

  /**
   * Show a search from its beginning, or from where it was scrolled to.
   * @param {Search} search
   * @param {number} [scroll]
   */
  show(search, scroll = 0) {
    this.search = search;
    this.list.className = search.query.kind;
    this.list.hidden = false;
    this.#start();
    this.#place(true);
    scrollTo(0, scroll);
    this.windowed.update();
    this.#near();
  }

  /** Show what has been loaded since. */
  grow() {
    this.#place(false);
    this.#near();
  }

  clear() {
    this.search = null;
    this.windowed.clear();
    this.list.hidden = true;
  }

  /**
   * Scroll to a result and give it the keyboard.
   * @param {number} index
   */
  focus(index) {
    this.windowed.reach(index)?.querySelector("a")?.focus({ preventScroll: true });
  }

  #start() {
    this.width = this.list.clientWidth;
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    const narrow = this.width < NARROW;
    const results = this.search?.results ?? [];
    this.placed = 0;
    if (this.search?.query.kind === "prompts") {
      const pictures = /** @type {PromptResult[]} */ (results).some(({ images }) => images.some(isThere));
      this.list.classList.toggle("wordy", !pictures);
      const row = !pictures ? 6.25 : narrow ? 12.25 : 7.125;
      this.layout = new Stacked({ width: this.width, row: row * rem, gap: 0.625 * rem });
    } else {
      const captions = /** @type {ImageResult[]} */ (results).some(({ prompt }) => prompt !== null);
      this.list.classList.toggle("bare", !captions);
      this.layout = new Justified({
        width: this.width,
        row: narrow ? Math.max(7 * rem, this.width / 3.4) : this.width < 1500 ? 11 * rem : 13 * rem,
        gap: (narrow ? 0.5 : 0.75) * rem,
        caption: captions ? 1.75 * rem : 0,
      });
    }
  }

  /** @param {boolean} anew */
  #place(anew) {
    if (!this.search) return;
    const { results, complete } = this.search;
    const added = results.slice(this.placed);
    this.placed = results.length;
    if (this.layout instanceof Justified) this.layout.add(/** @type {ImageResult[]} */ (added).map(ratio), complete);
    else this.layout.add(added);
    this.windowed.place(this.layout.boxes, Math.max(0, this.layout.height - this.layout.gap), anew);
  }

  /** Place everything anew for another width, around what is at the top of the window now. */
  #resized() {
    if (!this.search || this.list.clientWidth === this.width) return;
    const top = this.list.getBoundingClientRect().top;
    const [index = 0, element] =
      [...this.windowed.drawn].find(([, one]) => one.getBoundingClientRect().bottom > 0) ?? [];
    const seen = element?.getBoundingClientRect().top ?? 0;
    const held = document.activeElement?.closest("li")?.dataset.index;
    const focused = this.list.contains(document.activeElement) && held !== undefined ? Number(held) : null;
    this.#start();
    this.#place(true);
    const box = this.layout.boxes[index];
    if (top < 0 && box) scrollBy(0, this.list.getBoundingClientRect().top + box.y - seen);
    if (focused !== null) this.focus(focused);
    this.#near();
  }

  #near() {
    if (!this.search || this.search.complete) return;
    if (this.list.getBoundingClientRect().bottom < innerHeight * (1 + AHEAD)) this.more();
  }

  /**
   * @param {number} index
   * @param {Actions} actions
   */
  #draw(index, actions) {
    const { query, results, complete } = /** @type {Search} */ (this.search);
    const result = results[index];
    const item =
      query.kind === "images"
        ? imageTile(/** @type {ImageResult} */ (result), index, actions)
        : promptRow(/** @type {PromptResult} */ (result), index, actions);
    item.setAttribute("aria-posinset", String(index + 1));
    item.setAttribute("aria-setsize", String(complete ? results.length : -1));
    return item;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const held = /** @type {HTMLElement} */ (event.target).closest("li")?.dataset.index;
    if (held === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = Number(held);
    const boxes = this.layout.boxes;
    /** @type {Record<string, () => number>} */
    const ways = {
      ArrowRight: () => index + 1,
      ArrowLeft: () => index - 1,
      ArrowDown: () => beside(boxes, index, 1),
      ArrowUp: () => beside(boxes, index, -1),
      Home: () => 0,
      End: () => boxes.length - 1,
    };
    const to = ways[event.key]?.();
    if (to === undefined) return;
    event.preventDefault();
    this.focus(Math.min(boxes.length - 1, Math.max(0, to)));
  }
}

/** @param {ImageResult} result */
const ratio = ({ image: { width, height } }) => (width && height ? width / height : 1);
