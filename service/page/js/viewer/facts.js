// The settings and other facts of an image, as pairs of name and value.

/** @import { ImageResult } from "../api/types.js" */

import { formatFieldName, formatSetting } from "../lib/format.js";

/**
 * @param {ImageResult} result
 * @param {Record<string, unknown>} extra  fields that only the item itself has
 * @returns {[string, string][]}
 */
export function factsOf({ settings, image }, extra) {
  const facts = Object.entries({ ...settings, ...extra }).map(([name, value]) => pair(name, value));
  if (image.width && image.height) facts.push(["Size", `${image.width} × ${image.height}`]);
  facts.push(["Source", image.source]);
  return facts;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {[string, string]}
 */
const pair = (name, value) => [formatFieldName(name), formatSetting(name, value)];
