// What stands where results would: nothing was found, something went wrong, the service is busy, a key is wanted.

import { byId, make } from "./dom.js";
import { sentence } from "./format.js";
import { Failure, unlock } from "./service.js";

const LONGEST = 30; // seconds between two tries

/** @typedef {{ label: string, act: () => void }} Remedy */

export class Notice {
  constructor() {
    this.box = byId("notice");
    this.message = byId("notice-message");
    this.remedies = byId("notice-remedies");
    this.tries = 0;
    this.timer = 0;
    this.again = () => {};
    addEventListener("online", () => this.timer && this.#retry());
  }

  clear() {
    clearInterval(this.timer);
    this.timer = 0;
    this.box.hidden = true;
    this.message.replaceChildren();
    this.remedies.replaceChildren();
  }

  /** Something was answered: what passes is over. */
  relieve() {
    this.tries = 0;
    this.clear();
  }

  /**
   * @param {string} title
   * @param {string} text
   * @param {Remedy[]} remedies
   * @param {string} [kind]  how it looks
   */
  say(title, text, remedies, kind = "empty") {
    this.clear();
    this.box.className = kind;
    this.message.replaceChildren(make("strong", {}, title), make("span", {}, text));
    this.remedies.replaceChildren(
      ...remedies.map(({ label, act }, at) =>
        make("button", { type: "button", class: at ? "button" : "button main", click: act }, label),
      ),
    );
    this.box.hidden = false;
  }

  /**
   * Something that passes: say it, and try again by itself.
   * @param {Failure} failure
   * @param {() => void} again
   */
  wait(failure, again) {
    const offline = failure.status === 0 && !navigator.onLine;
    const [title, text] = offline
      ? ["You are offline", "Results come as soon as there is a network again."]
      : failure.status === 0
        ? ["The service does not answer", "It may be restarting, or the network is down. This page keeps trying."]
        : failure.status === 429
          ? [
              "You ask more than you may",
              "What may be asked from this address, or with this key, is limited. This page tries again by itself.",
            ]
          : ["The service is busy", "More is asked than it can answer at once. This page tries again by itself."];
    let left = Math.min(LONGEST, Math.max(failure.wait || 1, 2 ** this.tries));
    this.tries += 1;
    this.again = again;
    this.say(title, text, [{ label: "Try again now", act: () => this.#retry() }], "waiting");
    const button = this.remedies.firstElementChild;
    const tell = () => {
      if (button) button.textContent = offline ? "Try again now" : `Try again now (${left} s)`;
    };
    tell();
    this.timer = setInterval(() => {
      left -= 1;
      if (left > 0) tell();
      else this.#retry();
    }, 1000);
  }

  /**
   * Ask for an API key, and go on once the service knows it.
   * @param {() => void} unlocked
   * @param {string} [why]
   */
  askForKey(unlocked, why = "This service asks for an API key. It is kept as a cookie for twelve hours.") {
    this.say("An API key, please", why, [], "locked");
    const field = make("input", { type: "password", id: "key", autocomplete: "current-password", required: true });
    const form = make(
      "form",
      {
        submit: async (/** @type {Event} */ event) => {
          event.preventDefault();
          try {
            await unlock(field.value.trim());
          } catch (error) {
            if (!(error instanceof Failure)) throw error;
            if (error.passes) this.wait(error, unlocked);
            else this.askForKey(unlocked, sentence(error.message));
            return;
          }
          this.clear();
          unlocked();
        },
      },
      make("label", { for: "key" }, "API key"),
      field,
      make("button", { class: "button main" }, "Continue"),
    );
    this.remedies.replaceChildren(form);
    field.focus();
  }

  #retry() {
    this.clear();
    this.again();
  }
}
