// A list of any length, of which only the items near the window are in the document.

/** @import { Box } from "./layout.js" */

const MARGIN = 1; // window heights above and below that are kept ready
const PER_FRAME = 8; // items rendered ahead in one frame

export class VirtualList {
  /**
   * @param {HTMLElement} list
   * @param {(index: number) => HTMLElement} render  creates the element of the item at an index
   */
  constructor(list, render) {
    this.list = list;
    this.render = render;
    /** @type {Box[]} */
    this.boxes = [];
    /** @type {Map<number, HTMLElement>} */
    this.rendered = new Map();
    this.scheduled = false;
    addEventListener("scroll", () => this.#schedule(), { passive: true });
    addEventListener("resize", () => this.#schedule(), { passive: true });
  }

  /**
   * Set the items' boxes. Items that are already rendered stay, unless `reset`.
   * @param {Box[]} boxes
   * @param {number} height
   * @param {boolean} reset
   */
  setBoxes(boxes, height, reset) {
    if (reset) this.clear();
    this.boxes = boxes;
    this.list.style.height = `${height}px`;
    this.update();
  }

  clear() {
    for (const index of [...this.rendered.keys()]) this.#remove(index);
    this.boxes = [];
    this.list.style.height = "";
  }

  /**
   * Return an item's element, rendered if necessary and scrolled into view; null if there is no such item.
   * @param {number} index
   */
  reveal(index) {
    const box = this.boxes[index];
    if (!box) return null;
    const element = this.rendered.get(index) ?? this.#insert(index, box);
    element.scrollIntoView({ block: "nearest" });
    return element;
  }

  /** Render what is visible, then a few of the items near it each frame; remove the others. */
  update() {
    if (!this.boxes.length) return;
    const top = this.list.getBoundingClientRect().top;
    const [first, last] = this.#range(-top - innerHeight * MARGIN, innerHeight * (1 + MARGIN) - top);
    const focused = document.activeElement;
    for (const [index, element] of this.rendered) {
      if ((index < first || index >= last) && !element.contains(focused)) this.#remove(index);
    }
    const [firstVisible, lastVisible] = this.#range(-top, innerHeight - top);
    for (let index = firstVisible; index < lastVisible; index++) this.#ensure(index);
    let budget = PER_FRAME;
    for (let index = lastVisible; index < last && budget; index++) budget -= this.#ensure(index);
    for (let index = firstVisible - 1; index >= first && budget; index--) budget -= this.#ensure(index);
    if (!budget) this.#schedule();
  }

  #schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.update();
    });
  }

  /**
   * Return the index of the first item between two heights, and the index after the last one.
   * @param {number} top
   * @param {number} bottom
   */
  #range(top, bottom) {
    return /** @type {const} */ ([this.#firstBelow(top), this.#firstBelow(bottom, true)]);
  }

  /**
   * Return the index of the first item whose bottom (or top) edge is below a height. Both edges grow monotonically with
   * the index.
   * @param {number} y
   * @param {boolean} [topEdge]
   */
  #firstBelow(y, topEdge = false) {
    let [low, high] = [0, this.boxes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const box = /** @type {Box} */ (this.boxes[middle]);
      if ((topEdge ? box.y : box.y + box.height) < y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Render an item unless it is rendered already; return how many were rendered.
   * @param {number} index
   */
  #ensure(index) {
    const box = this.boxes[index];
    if (!box || this.rendered.has(index)) return 0;
    this.#insert(index, box);
    return 1;
  }

  /**
   * @param {number} index
   * @param {Box} box
   */
  #insert(index, box) {
    const element = this.render(index);
    element.style.left = `${box.x}px`;
    element.style.top = `${box.y}px`;
    element.style.width = `${box.width}px`;
    element.style.height = `${box.height}px`;
    element.dataset.index = String(index);
    // In the order of the results, for screen readers and the Tab key.
    let successor = null;
    let successorIndex = Number.POSITIVE_INFINITY;
    for (const [other, item] of this.rendered) {
      if (other > index && other < successorIndex) [successorIndex, successor] = [other, item];
    }
    this.list.insertBefore(element, successor);
    this.rendered.set(index, element);
    return element;
  }

  /** @param {number} index */
  #remove(index) {
    const element = this.rendered.get(index);
    for (const img of element?.querySelectorAll("img") ?? []) img.removeAttribute("src"); // cancels its loading
    element?.remove();
    this.rendered.delete(index);
  }
}
