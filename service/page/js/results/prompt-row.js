// A prompt in the results, with a few of its images.

/** @import { PromptResult } from "../api/types.js" */
/** @import { Actions } from "./tile.js" */

import { icon, link, make } from "../lib/dom.js";
import { formatCount, formatScore, truncate } from "../lib/format.js";
import { hasImage, thumbnailLink } from "./thumbnail.js";

/**
 * @param {PromptResult} result
 * @param {number} index
 * @param {Actions} actions
 */
export function promptRow(result, index, actions) {
  const { text } = result;
  const path = `prompts/${result.id}`;
  return make(
    "li",
    { class: "prompt" },
    make(
      "div",
      { class: "words" },
      link(make("a", { class: "text", href: actions.urlOf(path) }, text), () => actions.open(path, index)),
      make(
        "p",
        { class: "meta" },
        typeof result.score === "number" &&
          make("span", { class: "score", title: "Cosine similarity" }, formatScore(result.score)),
        result.image_count > 0 &&
          make("span", {}, formatCount(result.image_count, result.images.some(hasImage) ? "image" : "generation")),
        buttons(path, text, actions),
      ),
    ),
    strip(result, actions),
  );
}

/**
 * @param {string} path
 * @param {string} text
 * @param {Actions} actions
 */
function buttons(path, text, actions) {
  const button = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {(event: Event) => void} */ click,
  ) =>
    make(
      "button",
      { type: "button", class: "quiet", "aria-label": `${label}: ${truncate(text, 80)}`, title: label, click },
      icon(name),
    );
  return make(
    "span",
    { class: "actions" },
    button("copy", "Copy prompt", (event) => actions.copy(text, /** @type {HTMLElement} */ (event.currentTarget))),
    button("like", "More like this", () => actions.findSimilar(path, text, null)),
    button("search", "Use as query", () => actions.useAsQuery(text)),
  );
}

/**
 * @param {PromptResult} result
 * @param {Actions} actions
 */
function strip({ id, text, images }, actions) {
  const shown = images.filter(hasImage).map((image) => ({ ...image, prompt: { id, text } }));
  if (!shown.length) return null;
  const links = shown.map((image, index) => {
    const path = `images/${image.id}`;
    return thumbnailLink(image, text, actions.urlOf(path), () => actions.open(path, index, shown));
  });
  return make("div", { class: "strip" }, ...links);
}
