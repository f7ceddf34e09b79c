// An image in the results.

/** @import { ImageResult } from "../api/types.js" */

import { icon, make } from "../lib/dom.js";
import { formatScore, truncate } from "../lib/format.js";
import { promptOf, thumbnailLink } from "./thumbnail.js";

/**
 * @typedef {object} Actions  on a result
 * @property {(path: string) => string} urlOf  the page with "images/ID" or "prompts/ID" open
 * @property {(path: string, index: number, images?: ImageResult[]) => void} open  `images`: instead of the results
 * @property {(path: string, text: string, thumbnail: string | null) => void} findSimilar
 * @property {(text: string) => void} useAsQuery
 * @property {(text: string, button: HTMLElement) => void} copy
 */

/**
 * @param {ImageResult} result
 * @param {number} index
 * @param {Actions} actions
 */
export function imageTile(result, index, actions) {
  const text = promptOf(result);
  const path = `images/${result.id}`;
  const badge = badgeOf(result);
  return make(
    "li",
    { class: "tile" },
    thumbnailLink(result, text, actions.urlOf(path), () => actions.open(path, index)),
    typeof result.score === "number" &&
      make("span", { class: "pill score", title: "Cosine similarity" }, formatScore(result.score)),
    badge !== "" && make("span", { class: "pill badge" }, badge),
    make(
      "button",
      // Skipped by the Tab key: the keyboard reaches every action of a tile in the viewer.
      {
        type: "button",
        class: "pill like",
        tabindex: -1,
        title: "More like this",
        "aria-label": `More like ${text ? truncate(text, 80) : "this image"}`,
        click: () => actions.findSimilar(path, text, result.image.thumbnail),
      },
      icon("like"),
    ),
    make("p", { class: "caption", "aria-hidden": "true" }, text),
  );
}

/** @param {ImageResult} result */
const badgeOf = ({ more, duplicates }) =>
  more ? `+${more} from this prompt` : duplicates ? `+${duplicates} similar` : "";
