// The note beside the results that the item in the URL does not exist.

import { byId } from "../lib/dom.js";
import { formatSentence } from "../lib/format.js";

export class Gone {
  /** @param {() => void} onClose  called when the user closes the note */
  constructor(onClose) {
    this.element = byId("gone");
    this.why = byId("gone-why");
    byId("gone-close").addEventListener("click", () => {
      this.hide();
      onClose();
    });
  }

  /** @param {string} reason */
  show(reason) {
    this.element.hidden = false;
    this.why.textContent = `This item is no longer available. ${formatSentence(reason)}`;
  }

  hide() {
    this.element.hidden = true;
  }
}
