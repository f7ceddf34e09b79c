// Where results are placed. All sizes are known before a picture is loaded, and what has been placed never moves.

/** @typedef {{ x: number, y: number, width: number, height: number }} Box  in pixels */

const NARROWEST = 0.45; // of a picture's width to its height; what is narrower or wider is cropped
const WIDEST = 3;

/** Rows of pictures, all of one width and about one height, in the order of the results. */
export class Justified {
  /**
   * @param {object} sizes  in pixels
   * @param {number} sizes.width
   * @param {number} sizes.row  the height of a picture to aim at
   * @param {number} sizes.gap
   * @param {number} sizes.caption  below each picture
   */
  constructor({ width, row, gap, caption }) {
    this.width = width;
    this.row = row;
    this.gap = gap;
    this.caption = caption;
    /** @type {Box[]} */
    this.boxes = [];
    this.height = 0;
    /** @type {number[]} */
    this.waiting = [];
  }

  /**
   * Place what fills whole rows; the rest waits for what comes, if it does.
   * @param {number[]} ratios  of each picture's width to its height
   * @param {boolean} last
   */
  add(ratios, last) {
    for (const ratio of ratios) {
      const clamped = Math.min(WIDEST, Math.max(NARROWEST, ratio));
      const full = this.#height([...this.waiting, clamped]);
      if (full >= this.row) {
        this.waiting.push(clamped);
        continue;
      }
      // Too low with this one: end the row before or after it, wherever the height comes nearer to what is aimed at.
      const without = this.waiting.length ? this.#height(this.waiting) : Number.POSITIVE_INFINITY;
      if (without / this.row < this.row / full) {
        this.#place(this.waiting, without);
        this.waiting = [clamped];
      } else {
        this.#place([...this.waiting, clamped], full);
        this.waiting = [];
      }
    }
    if (last && this.waiting.length) {
      this.#place(this.waiting, Math.min(this.row, this.#height(this.waiting)));
      this.waiting = [];
    }
  }

  /** @param {number[]} ratios  of a row that is as wide as all */
  #height(ratios) {
    const total = ratios.reduce((sum, ratio) => sum + ratio, 0);
    return (this.width - this.gap * (ratios.length - 1)) / total;
  }

  /**
   * @param {number[]} ratios
   * @param {number} height
   */
  #place(ratios, height) {
    let x = 0;
    for (const ratio of ratios) {
      this.boxes.push({ x, y: this.height, width: ratio * height, height: height + this.caption });
      x += ratio * height + this.gap;
    }
    this.height += height + this.caption + this.gap;
  }
}

/** Rows of one height, one result each. */
export class Stacked {
  /**
   * @param {object} sizes  in pixels
   * @param {number} sizes.width
   * @param {number} sizes.row
   * @param {number} sizes.gap
   */
  constructor({ width, row, gap }) {
    this.width = width;
    this.row = row;
    this.gap = gap;
    /** @type {Box[]} */
    this.boxes = [];
    this.height = 0;
  }

  /** @param {unknown[]} results */
  add(results) {
    for (const _ of results) {
      this.boxes.push({ x: 0, y: this.height, width: this.width, height: this.row });
      this.height += this.row + this.gap;
    }
  }
}

/**
 * The result in the row above or below that is nearest to another.
 * @param {Box[]} boxes
 * @param {number} index
 * @param {1 | -1} direction
 */
export function beside(boxes, index, direction) {
  const from = boxes[index];
  if (!from) return index;
  let other = index;
  while (boxes[other] && boxes[other]?.y === from.y) other += direction;
  const row = boxes[other]?.y;
  if (row === undefined) return index;
  const centre = from.x + from.width / 2;
  let best = other;
  for (let at = other; boxes[at]?.y === row; at += direction) {
    const distance = (/** @type {number} */ one) => {
      const box = /** @type {Box} */ (boxes[one]);
      return Math.abs(box.x + box.width / 2 - centre);
    };
    if (distance(at) < distance(best)) best = at;
  }
  return best;
}
