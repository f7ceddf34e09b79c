// The viewer's side panel: title, score, prompt, action buttons and facts.

import { byId, icon, make } from "../lib/dom.js";
import { formatScore } from "../lib/format.js";

export class Details {
  constructor() {
    this.title = byId("viewer-title");
    this.score = byId("viewer-score");
    this.panel = byId("viewer-facts");
    this.list = make("dl");
  }

  /**
   * @param {string} title
   * @param {number | null | undefined} score
   * @param {string} text  of the prompt
   * @param {(Node | string | null | false)[]} actions  everything but nodes is skipped
   */
  show(title, score, text, actions) {
    this.title.textContent = title;
    this.score.textContent = typeof score === "number" ? `score ${formatScore(score)}` : "";
    const prompt = text
      ? make("p", { class: "text" }, text)
      : make("p", { class: "text faint" }, "This image has no prompt.");
    const nodes = actions.filter((action) => action instanceof Node);
    this.list.replaceChildren();
    this.panel.scrollTop = 0;
    this.panel.replaceChildren(prompt, make("div", { class: "actions" }, ...nodes), this.list);
  }

  /** @param {[string, string][]} facts */
  setFacts(facts) {
    this.list.replaceChildren(
      ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
    );
  }

  focus() {
    this.panel.focus();
  }
}

/**
 * @param {string} name  of an icon
 * @param {string} label
 * @param {(button: HTMLElement) => void} act
 */
export function actionButton(name, label, act) {
  const click = (/** @type {Event} */ { currentTarget }) => act(/** @type {HTMLElement} */ (currentTarget));
  return make("button", { type: "button", class: "button", click }, icon(name), label);
}

/**
 * @param {string} name  of an icon
 * @param {string} label
 * @param {Record<string, string>} attributes
 */
export const actionLink = (name, label, attributes) => make("a", { class: "button", ...attributes }, icon(name), label);
