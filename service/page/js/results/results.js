// The results of a search: rows of images or a list of prompts, of any length.

/** @import { ImageResult, PromptResult } from "../api/types.js" */
/** @import { Search } from "../query/search.js" */
/** @import { Actions } from "./tile.js" */

import { bindResultKeys } from "./keys.js";
import { JustifiedRows, StackedRows } from "./layout.js";
import { promptRow } from "./prompt-row.js";
import { hasImage } from "./thumbnail.js";
import { imageTile } from "./tile.js";
import { VirtualList } from "./virtual-list.js";

const AHEAD = 1.5; // window heights; closer to the end of the results, more are loaded
const NARROW = 560; // pixels

export class Results {
  /**
   * @param {HTMLElement} list
   * @param {Actions} actions
   * @param {() => void} onNearEnd
   */
  constructor(list, actions, onNearEnd) {
    this.list = list;
    this.onNearEnd = onNearEnd;
    /** @type {Search | null} */
    this.search = null;
    /** @type {JustifiedRows | StackedRows} */
    this.layout = new StackedRows({ width: 0, row: 1, gap: 0 });
    this.placed = 0; // number of results in the layout
    this.virtualList = new VirtualList(list, (index) => this.#render(index, actions));
    this.width = 0;
    new ResizeObserver(() => this.#resize()).observe(list);
    bindResultKeys(
      list,
      () => this.layout.boxes,
      (index) => this.focus(index),
    );
    addEventListener("scroll", () => this.#checkEnd(), { passive: true });
  }

  /**
   * Show a search at a scroll position.
   * @param {Search} search
   * @param {number} [scroll]
   */
  show(search, scroll = 0) {
    this.search = search;
    this.list.className = search.query.kind;
    this.list.hidden = false;
    this.#startLayout();
    this.#place(true);
    scrollTo(0, scroll);
    this.virtualList.update();
    this.#checkEnd();
  }

  /** Show the results loaded since. */
  grow() {
    this.#place(false);
    this.#checkEnd();
  }

  clear() {
    this.search = null;
    this.virtualList.clear();
    this.list.hidden = true;
  }

  /**
   * Scroll to a result and focus it.
   * @param {number} index
   */
  focus(index) {
    this.virtualList.reveal(index)?.querySelector("a")?.focus({ preventScroll: true });
  }

  #startLayout() {
    this.width = this.list.clientWidth;
    this.placed = 0;
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    const narrow = this.width < NARROW;
    const results = this.search?.results ?? [];
    if (this.search?.query.kind === "prompts") {
      const images = /** @type {PromptResult[]} */ (results).some((result) => result.images.some(hasImage));
      this.list.classList.toggle("wordy", !images);
      const row = !images ? 6.25 : narrow ? 12.25 : 7.125;
      this.layout = new StackedRows({ width: this.width, row: row * rem, gap: 0.625 * rem });
    } else {
      const captions = /** @type {ImageResult[]} */ (results).some(({ prompt }) => prompt !== null);
      this.list.classList.toggle("bare", !captions);
      this.layout = new JustifiedRows({
        width: this.width,
        row: narrow ? Math.max(7 * rem, this.width / 3.4) : this.width < 1500 ? 11 * rem : 13 * rem,
        gap: (narrow ? 0.5 : 0.75) * rem,
        caption: captions ? 1.75 * rem : 0,
      });
    }
  }

  /** @param {boolean} reset */
  #place(reset) {
    if (!this.search) return;
    const { results, complete } = this.search;
    const added = results.slice(this.placed);
    this.placed = results.length;
    if (this.layout instanceof JustifiedRows) {
      this.layout.add(/** @type {ImageResult[]} */ (added).map(aspectRatio), complete);
    } else this.layout.add(added);
    this.virtualList.setBoxes(this.layout.boxes, Math.max(0, this.layout.height - this.layout.gap), reset);
  }

  /** Lay out everything again after the width changed, and keep the result at the top of the window there. */
  #resize() {
    if (!this.search || this.list.clientWidth === this.width) return;
    const top = this.list.getBoundingClientRect().top;
    const [index = 0, element] =
      [...this.virtualList.rendered].find(([, item]) => item.getBoundingClientRect().bottom > 0) ?? [];
    const oldY = element?.getBoundingClientRect().top ?? 0;
    const focusedItem = document.activeElement?.closest("li")?.dataset.index;
    const focused =
      this.list.contains(document.activeElement) && focusedItem !== undefined ? Number(focusedItem) : null;
    this.#startLayout();
    this.#place(true);
    const box = this.layout.boxes[index];
    if (top < 0 && box) scrollBy(0, this.list.getBoundingClientRect().top + box.y - oldY);
    if (focused !== null) this.focus(focused);
    this.#checkEnd();
  }

  #checkEnd() {
    if (!this.search || this.search.complete) return;
    if (this.list.getBoundingClientRect().bottom < innerHeight * (1 + AHEAD)) this.onNearEnd();
  }

  /**
   * @param {number} index
   * @param {Actions} actions
   */
  #render(index, actions) {
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
}

/** @param {ImageResult} result */
const aspectRatio = ({ image: { width, height } }) => (width && height ? width / height : 1);
