// What keys do in the results: arrow keys, Home and End move the focus.

/** @import { Box } from "./layout.js" */

import { closestInAdjacentRow } from "./layout.js";

/** @type {Record<string, (boxes: Box[], index: number) => number>} */
const TARGETS = {
  ArrowRight: (_, index) => index + 1,
  ArrowLeft: (_, index) => index - 1,
  ArrowDown: (boxes, index) => closestInAdjacentRow(boxes, index, 1),
  ArrowUp: (boxes, index) => closestInAdjacentRow(boxes, index, -1),
  Home: () => 0,
  End: (boxes) => boxes.length - 1,
};

/**
 * Call `focus` with the index of the result that a key moves to.
 * @param {HTMLElement} list
 * @param {() => Box[]} boxes  of the results
 * @param {(index: number) => void} focus
 */
export function bindResultKeys(list, boxes, focus) {
  list.addEventListener("keydown", (event) => {
    const index = /** @type {HTMLElement} */ (event.target).closest("li")?.dataset.index;
    if (index === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = TARGETS[event.key]?.(boxes(), Number(index));
    if (target === undefined) return;
    event.preventDefault();
    focus(Math.min(boxes().length - 1, Math.max(0, target)));
  });
}
