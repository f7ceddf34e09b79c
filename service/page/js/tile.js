// How one result looks in a list: a picture with its prompt, or a prompt with its pictures.

/** @import { Generation, ImageResult, PromptResult } from "./api.js" */

import { icon, make } from "./dom.js";
import { counted, score, shortened } from "./format.js";

const PAUSES_MS = [1000, 2000, 4000]; // before a thumbnail that did not come is asked for again
const SMALL = 160; // pixels: a thumbnail that would be blurred by being enlarged

/**
 * @typedef {object} Actions  what can be done with a result
 * @property {(place: string) => string} address  of the page with "images/ID" or "prompts/ID" open
 * @property {(place: string, index: number, among?: ImageResult[]) => void} open  `among`: instead of the results
 * @property {(place: string, text: string, thumbnail: string | null) => void} like
 * @property {(text: string) => void} use  as a query
 * @property {(text: string, button: HTMLElement) => void} copy
 */

/** @param {Generation & Partial<ImageResult>} result */
export const textOf = (result) => result.prompt?.text ?? "";

/**
 * Whether there is a picture to see, and not just its settings.
 * @param {Generation} generation
 */
export const isThere = ({ image }) => image.thumbnail !== null || image.file !== null;

/**
 * @param {ImageResult} result
 * @param {number} index
 * @param {Actions} actions
 */
export function imageTile(result, index, actions) {
  const text = textOf(result);
  const place = `images/${result.id}`;
  const badge = result.more ? `+${result.more} of this prompt` : result.duplicates ? `+${result.duplicates} alike` : "";
  return make(
    "li",
    { class: "tile" },
    pictureLink(result, text, actions.address(place), () => actions.open(place, index)),
    typeof result.score === "number" &&
      make("span", { class: "pill score", title: "Cosine similarity" }, score(result.score)),
    badge !== "" && make("span", { class: "pill badge" }, badge),
    make(
      "button",
      // Everything that a tile offers is in the dialog that it opens, which is where the keyboard finds it.
      {
        type: "button",
        class: "pill like",
        tabindex: -1,
        title: "More like this",
        "aria-label": `More like ${text ? shortened(text, 80) : "this picture"}`,
        click: () => actions.like(place, text, result.image.thumbnail),
      },
      icon("like"),
    ),
    make("p", { class: "caption", "aria-hidden": "true" }, text),
  );
}

/**
 * @param {PromptResult} result
 * @param {number} index
 * @param {Actions} actions
 */
export function promptRow(result, index, actions) {
  const { text } = result;
  const place = `prompts/${result.id}`;
  const images = result.images.filter(isThere);
  const among = images.map((image) => ({ ...image, prompt: { id: result.id, text } }));
  const action = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {(event: Event) => void} */ click,
  ) =>
    make(
      "button",
      { type: "button", class: "quiet", "aria-label": `${label}: ${shortened(text, 80)}`, title: label, click },
      icon(name),
    );
  return make(
    "li",
    { class: "prompt" },
    make(
      "div",
      { class: "words" },
      link(make("a", { class: "text", href: actions.address(place) }, text), () => actions.open(place, index)),
      make(
        "p",
        { class: "meta" },
        typeof result.score === "number" &&
          make("span", { class: "score", title: "Cosine similarity" }, score(result.score)),
        result.image_count > 0 &&
          make("span", {}, counted(result.image_count, images.length > 0 ? "picture" : "generation")),
        make(
          "span",
          { class: "actions" },
          action("copy", "Copy the prompt", (event) =>
            actions.copy(text, /** @type {HTMLElement} */ (event.currentTarget)),
          ),
          action("like", "More like this", () => actions.like(place, text, null)),
          action("search", "Use as query", () => actions.use(text)),
        ),
      ),
    ),
    among.length > 0 &&
      make(
        "div",
        { class: "strip" },
        ...among.map((image, at) => {
          const own = `images/${image.id}`;
          return pictureLink(image, text, actions.address(own), () => actions.open(own, at, among));
        }),
      ),
  );
}

/**
 * A link that holds a thumbnail; its prompt where there is none.
 * @param {Generation} result
 * @param {string} text
 * @param {string} href
 * @param {() => void} open
 */
export function pictureLink({ image }, text, href, open) {
  const name = shortened(text || "Picture without a prompt", 200);
  const frame = link(make("a", { class: "frame", href }), open);
  const missing = () => {
    frame.replaceChildren(make("span", {}, name));
    frame.classList.add("missing");
  };
  if (!image.thumbnail) {
    missing();
    return frame;
  }
  const small = Math.max(image.width ?? SMALL, image.height ?? SMALL) < SMALL;
  frame.append(thumbnail(image.thumbnail, { alt: name, class: small ? "small" : null }, missing));
  return frame;
}

/**
 * A thumbnail that is asked for again where it does not come: a busy service may have refused it, and why, no page is
 * told.
 * @param {string} address
 * @param {Record<string, string | null>} attributes
 * @param {() => void} missing  called when it is given up
 */
function thumbnail(address, attributes, missing) {
  let tries = 0;
  const img = make("img", {
    decoding: "async",
    draggable: "false",
    ...attributes,
    load: () => img.classList.remove("awaited"),
    error: () => {
      const pause = PAUSES_MS[tries];
      tries += 1;
      if (pause === undefined) {
        missing();
        return;
      }
      img.classList.add("awaited");
      const spread = 1 + Math.random() / 2; // not all that were refused at the same moment
      setTimeout(() => {
        if (img.isConnected) img.src = address;
      }, pause * spread);
    },
  });
  img.src = address;
  return img;
}

/**
 * A link that does something here when it is clicked as usual, and is a link for every other kind of click.
 * @param {HTMLAnchorElement} anchor
 * @param {() => void} follow
 */
export function link(anchor, follow) {
  anchor.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    follow();
  });
  return anchor;
}
