// A list of any length of which the page holds only what is near the window.

/** @import { Box } from "./layout.js" */

const NEAR = 1; // windows above and below that are kept ready
const FEW = 8; // results that are drawn in a frame before they can be seen

export class Windowed {
  /**
   * @param {HTMLElement} list
   * @param {(index: number) => HTMLElement} draw  a new element for the result of this number
   */
  constructor(list, draw) {
    this.list = list;
    this.draw = draw;
    /** @type {Box[]} */
    this.boxes = [];
    /** @type {Map<number, HTMLElement>} */
    this.drawn = new Map();
    this.waiting = false;
    addEventListener("scroll", () => this.#later(), { passive: true });
    addEventListener("resize", () => this.#later(), { passive: true });
  }

  /**
   * Show results at these places. Those that are drawn stay unless `anew`.
   * @param {Box[]} boxes
   * @param {number} height
   * @param {boolean} anew
   */
  place(boxes, height, anew) {
    if (anew) this.clear();
    this.boxes = boxes;
    this.list.style.height = `${height}px`;
    this.update();
  }

  clear() {
    for (const index of [...this.drawn.keys()]) this.#remove(index);
    this.boxes = [];
    this.list.style.height = "";
  }

  /**
   * The element of a result, drawn if it was not, and scrolled to if it cannot be seen.
   * @param {number} index
   */
  reach(index) {
    const box = this.boxes[index];
    if (!box) return null;
    const element = this.drawn.get(index) ?? this.#insert(index, box);
    element.scrollIntoView({ block: "nearest" });
    return element;
  }

  /** Draw what can be seen, then what is near, a few with each frame; and take away what no longer is. */
  update() {
    if (!this.boxes.length) return;
    const top = this.list.getBoundingClientRect().top;
    const [first, last] = this.#within(-top - innerHeight * NEAR, innerHeight * (1 + NEAR) - top);
    const focused = document.activeElement;
    for (const [index, element] of this.drawn) {
      if ((index < first || index >= last) && !element.contains(focused)) this.#remove(index);
    }
    const [seen, unseen] = this.#within(-top, innerHeight - top);
    for (let index = seen; index < unseen; index++) this.#ready(index);
    let few = FEW;
    for (let index = unseen; index < last && few; index++) few -= this.#ready(index);
    for (let index = seen - 1; index >= first && few; index--) few -= this.#ready(index);
    if (!few) this.#later();
  }

  #later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.update();
    });
  }

  /**
   * The numbers of the first result between two heights, and of the first behind them.
   * @param {number} from
   * @param {number} to
   */
  #within(from, to) {
    return /** @type {const} */ ([this.#after(from), this.#after(to, true)]);
  }

  /**
   * Draw a result that is not; how many that were.
   * @param {number} index
   */
  #ready(index) {
    const box = this.boxes[index];
    if (!box || this.drawn.has(index)) return 0;
    this.#insert(index, box);
    return 1;
  }

  /**
   * The first result that ends (or begins) below a height. Both only grow from each result to the next.
   * @param {number} y
   * @param {boolean} [begins]
   */
  #after(y, begins = false) {
    let [low, high] = [0, this.boxes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const box = /** @type {Box} */ (this.boxes[middle]);
      if ((begins ? box.y : box.y + box.height) < y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * @param {number} index
   * @param {Box} box
   */
  #insert(index, box) {
    const element = this.draw(index);
    element.style.left = `${box.x}px`;
    element.style.top = `${box.y}px`;
    element.style.width = `${box.width}px`;
    element.style.height = `${box.height}px`;
    element.dataset.index = String(index);
    // In the order of the results, which is the order in which they are read and tabbed through.
    let next = null;
    let nearest = Number.POSITIVE_INFINITY;
    for (const [other, one] of this.drawn) if (other > index && other < nearest) [nearest, next] = [other, one];
    this.list.insertBefore(element, next);
    this.drawn.set(index, element);
    return element;
  }

  /** @param {number} index */
  #remove(index) {
    const element = this.drawn.get(index);
    for (const img of element?.querySelectorAll("img") ?? []) img.removeAttribute("src"); // no longer worth loading
    element?.remove();
    this.drawn.delete(index);
  }
}
