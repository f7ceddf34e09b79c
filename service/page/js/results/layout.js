// Positions of results. All sizes are known before an image is loaded, and a result that has a position keeps it.

/** @typedef {{ x: number, y: number, width: number, height: number }} Box  in pixels */

// Limits of an image's width divided by its height; images beyond them are cropped.
const NARROWEST = 0.45;
const WIDEST = 3;

/** Rows of images in the order of the results, all rows equally wide and about equally high. */
export class JustifiedRows {
  /**
   * @param {object} sizes  in pixels
   * @param {number} sizes.width
   * @param {number} sizes.row  target height of an image
   * @param {number} sizes.gap
   * @param {number} sizes.caption  height below each image
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
    this.pending = []; // ratios of the images in the last, unfinished row
  }

  /**
   * Place images in full rows; the rest waits for the next call, unless this is the last one.
   * @param {number[]} ratios  width divided by height of each image
   * @param {boolean} last
   */
  add(ratios, last) {
    for (const ratio of ratios) {
      const clamped = Math.min(WIDEST, Math.max(NARROWEST, ratio));
      const height = this.#rowHeight([...this.pending, clamped]);
      if (height >= this.row) {
        this.pending.push(clamped);
        continue;
      }
      // The row gets too low with this image: end it before or after the image, whichever is closer to the target.
      const heightWithout = this.pending.length ? this.#rowHeight(this.pending) : Number.POSITIVE_INFINITY;
      if (heightWithout / this.row < this.row / height) {
        this.#placeRow(this.pending, heightWithout);
        this.pending = [clamped];
      } else {
        this.#placeRow([...this.pending, clamped], height);
        this.pending = [];
      }
    }
    if (last && this.pending.length) {
      this.#placeRow(this.pending, Math.min(this.row, this.#rowHeight(this.pending)));
      this.pending = [];
    }
  }

  /** @param {number[]} ratios  of a row that fills the width */
  #rowHeight(ratios) {
    const total = ratios.reduce((sum, ratio) => sum + ratio, 0);
    return (this.width - this.gap * (ratios.length - 1)) / total;
  }

  /**
   * @param {number[]} ratios
   * @param {number} height
   */
  #placeRow(ratios, height) {
    let x = 0;
    for (const ratio of ratios) {
      this.boxes.push({ x, y: this.height, width: ratio * height, height: height + this.caption });
      x += ratio * height + this.gap;
    }
    this.height += height + this.caption + this.gap;
  }
}

/** Rows of equal height with one result each. */
export class StackedRows {
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
 * Return the index of the result in the row above or below whose centre is closest; `index` itself if there is no row.
 * @param {Box[]} boxes
 * @param {number} index
 * @param {1 | -1} direction
 */
export function closestInAdjacentRow(boxes, index, direction) {
  const start = boxes[index];
  if (!start) return index;
  let first = index;
  while (boxes[first] && boxes[first]?.y === start.y) first += direction;
  const row = boxes[first]?.y;
  if (row === undefined) return index;
  const centre = start.x + start.width / 2;
  const distance = (/** @type {number} */ candidate) => {
    const box = /** @type {Box} */ (boxes[candidate]);
    return Math.abs(box.x + box.width / 2 - centre);
  };
  let closest = first;
  for (let candidate = first; boxes[candidate]?.y === row; candidate += direction) {
    if (distance(candidate) < distance(closest)) closest = candidate;
  }
  return closest;
}
