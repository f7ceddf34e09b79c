// The large image in the viewer, or the images of a prompt.

/** @import { Generation, ImageResult } from "../api/types.js" */

import { make } from "../lib/dom.js";
import { thumbnailLink } from "../results/thumbnail.js";

const MAX_SCALE = 3; // of small images
const SCALED_SIDE = 480; // pixels, up to which small images are enlarged

/**
 * Create the image: first the thumbnail, which the browser has loaded already, then the original.
 * @param {ImageResult} result
 * @param {string} text  of the prompt
 * @param {AbortSignal} signal  aborted when the viewer moves on
 */
export function stageImage({ image }, text, signal) {
  const source = image.thumbnail ?? image.file;
  if (!source) return make("p", { class: "nothing" }, "The image file is not in this collection.");
  const img = make("img", { alt: text || "Image without a prompt", src: source });
  if (image.width && image.height) {
    const side = Math.max(image.width, image.height);
    const scale = side < SCALED_SIDE ? Math.min(MAX_SCALE, SCALED_SIDE / side) : 1;
    [img.width, img.height] = [image.width * scale, image.height * scale];
  }
  if (image.file && image.thumbnail) {
    const original = new Image();
    original.onload = () => {
      if (!signal.aborted) img.src = original.src;
    };
    original.src = image.file;
  }
  return img;
}

/**
 * Create a sheet with the images of a prompt.
 * @param {Generation[]} images
 * @param {string} text  of the prompt
 * @param {(path: string) => string} urlOf
 * @param {(path: string, index: number) => void} open
 */
export function sheet(images, text, urlOf, open) {
  const links = images.map((image, index) => {
    const path = `images/${image.id}`;
    return thumbnailLink(image, text, urlOf(path), () => open(path, index));
  });
  return make("div", { class: "sheet" }, ...links);
}
