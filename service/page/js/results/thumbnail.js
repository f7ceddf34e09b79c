// Thumbnails, which are links that open the image.

/** @import { Generation, ImageResult } from "../api/types.js" */

import { link, make } from "../lib/dom.js";
import { truncate } from "../lib/format.js";

const RETRY_MS = [1000, 2000, 4000]; // pauses before a thumbnail that failed to load is requested again
const SMALL = 160; // pixels; a smaller thumbnail would be blurred if it were enlarged

/**
 * Return the text of an image's prompt; "" if it has none.
 * @param {Generation & Partial<ImageResult>} result
 */
export const promptOf = (result) => result.prompt?.text ?? "";

/**
 * Whether a generation has an image to show, not only settings.
 * @param {Generation} generation
 */
export const hasImage = ({ image }) => image.thumbnail !== null || image.file !== null;

/**
 * Create a link with a thumbnail, or with the prompt if there is no thumbnail.
 * @param {Generation} result
 * @param {string} text  of the prompt
 * @param {string} href
 * @param {() => void} open
 */
export function thumbnailLink({ image }, text, href, open) {
  const name = truncate(text || "Image without a prompt", 200);
  const frame = link(make("a", { class: "frame", href }), open);
  const showText = () => {
    frame.replaceChildren(make("span", {}, name));
    frame.classList.add("missing");
  };
  if (!image.thumbnail) {
    showText();
    return frame;
  }
  const small = Math.max(image.width ?? SMALL, image.height ?? SMALL) < SMALL;
  frame.append(thumbnail(image.thumbnail, { alt: name, class: small ? "small" : null }, showText));
  return frame;
}

/**
 * Create a thumbnail that is requested again if it fails to load. A busy service may have refused it; a page cannot see
 * why.
 * @param {string} url
 * @param {Record<string, string | null>} attributes
 * @param {() => void} onFailure  called after the last attempt
 */
function thumbnail(url, attributes, onFailure) {
  let attempts = 0;
  const img = make("img", {
    decoding: "async",
    draggable: "false",
    ...attributes,
    load: () => img.classList.remove("awaited"),
    error: () => {
      const pause = RETRY_MS[attempts];
      attempts += 1;
      if (pause === undefined) {
        onFailure();
        return;
      }
      img.classList.add("awaited");
      const jitter = 1 + Math.random() / 2; // so that thumbnails that failed together are not requested together
      setTimeout(() => {
        if (img.isConnected) img.src = url;
      }, pause * jitter);
    },
  });
  img.src = url;
  return img;
}
