// The notice in place of results: nothing found, an error, a busy service, a missing API key.

import { unlock } from "../api/client.js";
import { Failure } from "../api/failure.js";
import { byId, make } from "../lib/dom.js";
import { formatSentence } from "../lib/format.js";

const MAX_WAIT = 30; // seconds between two attempts

/** @typedef {{ label: string, act: () => void }} Remedy */
/** @typedef {{ title: string, text: string }} Message */

export class Notice {
  constructor() {
    this.element = byId("notice");
    this.message = byId("notice-message");
    this.remedies = byId("notice-remedies");
    this.attempts = 0;
    this.timer = 0;
    this.retry = () => {};
    addEventListener("online", () => this.timer && this.#retryNow());
  }

  clear() {
    clearInterval(this.timer);
    this.timer = 0;
    this.element.hidden = true;
    this.message.replaceChildren();
    this.remedies.replaceChildren();
  }

  /** Clear the notice after a success, and start counting attempts again. */
  reset() {
    this.attempts = 0;
    this.clear();
  }

  /**
   * @param {Message} message
   * @param {Remedy[]} remedies
   * @param {string} [kind]  a CSS class
   */
  show({ title, text }, remedies, kind = "empty") {
    this.clear();
    this.element.className = kind;
    this.message.replaceChildren(make("strong", {}, title), make("span", {}, text));
    this.remedies.replaceChildren(
      ...remedies.map(({ label, act }, index) =>
        make("button", { type: "button", class: index ? "button" : "button main", click: act }, label),
      ),
    );
    this.element.hidden = false;
  }

  /**
   * Show a temporary failure, and retry automatically.
   * @param {Failure} failure
   * @param {() => void} retry
   */
  showRetry(failure, retry) {
    const offline = isOffline(failure);
    let seconds = Math.min(MAX_WAIT, Math.max(failure.wait || 1, 2 ** this.attempts));
    this.attempts += 1;
    this.retry = retry;
    const label = () => (offline ? "Try again now" : `Try again now (${seconds} s)`);
    this.show(temporaryMessage(failure), [{ label: label(), act: () => this.#retryNow() }], "waiting");
    const button = this.remedies.firstElementChild;
    this.timer = setInterval(() => {
      seconds -= 1;
      if (seconds <= 0) this.#retryNow();
      else if (button) button.textContent = label();
    }, 1000);
  }

  /**
   * Ask for an API key, and continue once the service accepts it.
   * @param {() => void} onUnlocked
   * @param {string} [text]
   */
  showKeyForm(onUnlocked, text = "Enter an API key for this service. It is stored in a cookie for twelve hours.") {
    this.show({ title: "API key required", text }, [], "locked");
    const field = make("input", { type: "password", id: "key", autocomplete: "current-password", required: true });
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#unlock(field.value.trim(), onUnlocked);
    };
    const label = make("label", { for: "key" }, "API key");
    const button = make("button", { class: "button main" }, "Continue");
    this.remedies.replaceChildren(make("form", { submit }, label, field, button));
    field.focus();
  }

  /**
   * @param {string} key
   * @param {() => void} onUnlocked
   */
  async #unlock(key, onUnlocked) {
    try {
      await unlock(key);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.isTemporary) this.showRetry(error, onUnlocked);
      else this.showKeyForm(onUnlocked, formatSentence(error.message));
      return;
    }
    this.clear();
    onUnlocked();
  }

  #retryNow() {
    this.clear();
    this.retry();
  }
}

/** @param {Failure} failure */
const isOffline = ({ status }) => status === 0 && !navigator.onLine;

/**
 * @param {Failure} failure
 * @returns {Message}
 */
function temporaryMessage(failure) {
  if (isOffline(failure)) return { title: "You are offline", text: "Results will load when you are back online." };
  if (failure.status === 0) {
    return {
      title: "The service is not responding",
      text: "It may be restarting, or the network may be down. Retrying automatically.",
    };
  }
  if (failure.status === 429) {
    return {
      title: "Rate limit reached",
      text: "Too many requests from this address or with this API key. Retrying automatically.",
    };
  }
  return { title: "The service is busy", text: "It has more requests than it can handle. Retrying automatically." };
}
