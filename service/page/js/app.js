// The page: what is asked, what is shown of it, and what happens between the two.

/** @import { Collection, Field } from "./api.js" */
/** @import { Query } from "./query.js" */

import { Box } from "./box.js";
import { Chips } from "./chips.js";
import { copyWith } from "./clipboard.js";
import { byId } from "./dom.js";
import { Filters } from "./filters.js";
import { counted, number, sentence, shortened } from "./format.js";
import { Steps } from "./history.js";
import { Notice } from "./notice.js";
import { isAsked, toAddress, UNASKED } from "./query.js";
import { Results } from "./results.js";
import { Search } from "./search.js";
import * as service from "./service.js";
import { Failure } from "./service.js";
import { Toolbar } from "./toolbar.js";
import { Viewer } from "./viewer.js";
import { Welcome } from "./welcome.js";

const NOUN = { images: "picture", prompts: "prompt" };
const OTHER = /** @type {const} */ ({ images: "prompts", prompts: "images" });
const LATE_MS = 250; // before it is said that a search is under way

class App {
  constructor() {
    this.main = byId("main");
    this.status = byId("status");
    /** @type {HTMLSelectElement} */
    this.choice = byId("collection");
    /** @type {Collection[]} */
    this.collections = [];
    /** @type {Search | null} */
    this.search = null; // the one whose answer may be shown
    this.fieldsOf = ""; // the collection that the filters are built for
    const change = (/** @type {Partial<Query>} */ changes) => this.go(changes);
    this.steps = new Steps((query, step, item) => this.#moved(query, step, item));
    this.query = this.steps.query;
    this.box = new Box((words, draft) => this.go(words, draft));
    this.chips = new Chips(change);
    this.filters = new Filters(change);
    this.toolbar = new Toolbar((changes) => (changes.kind ? this.#switchKind(changes.kind) : this.go(changes)));
    this.welcome = new Welcome(change);
    this.notice = new Notice();
    const actions = {
      address: (/** @type {string} */ place) => toAddress(this.query, place),
      like: (/** @type {string} */ place, /** @type {string} */ text, /** @type {string | null} */ thumbnail) => {
        this.chips.know(place, { text, thumbnail });
        this.#leaveViewer({
          ...UNASKED,
          like: place,
          kind: place.startsWith("images") ? "images" : "prompts",
          filter: null,
          sort: "",
        });
      },
      use: (/** @type {string} */ text) => this.#leaveViewer({ ...UNASKED, q: text }),
    };
    this.viewer = new Viewer({
      ...actions,
      same: (id, text, thumbnail) => {
        this.chips.know(`prompts/${id}`, { text, thumbnail });
        this.#leaveViewer({ ...UNASKED, of: id, kind: "images", filter: null, sort: "", grouped: false });
      },
      moved: (place) => this.steps.open(this.query, place),
      closed: (left) => this.#closed(left),
      more: () => this.#more(),
      complete: () => this.search?.complete ?? true,
    });
    this.results = new Results(
      byId("results"),
      {
        ...actions,
        open: (place, index, among) => {
          byId("gone").hidden = true;
          this.viewer.show(among ?? this.search?.results ?? [], index, this.query.collection, !among);
          this.steps.open(this.query, place);
        },
        copy: (text, button) => copyWith(text, button, byId("said")),
      },
      () => this.#more(),
    );
    this.choice.addEventListener("change", () => this.#switchCollection(this.choice.value));
    byId("gone-close").addEventListener("click", () => {
      byId("gone").hidden = true;
      this.steps.close(this.query);
      this.main.focus({ preventScroll: true });
    });
    byId("home").addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.go({
        ...UNASKED,
        filter: null,
        sort: "",
        minScore: null,
        grouped: false,
        deduplicated: false,
        diversity: 0,
      });
      this.box.q.focus();
    });
  }

  /** Find out what is served, then show what the address asks. */
  async start() {
    this.box.show(this.query);
    try {
      const { collections, default: preferred } = await service.collections();
      this.collections = collections;
      this.notice.relieve();
      this.choice.replaceChildren(...collections.map(({ name }) => new Option(name)));
      byId("collections").hidden = collections.length < 2;
      if (!this.query.collection && preferred === null && collections[0])
        this.#correct({ collection: collections[0].name });
      this.preferred = preferred ?? collections[0]?.name ?? "";
    } catch (error) {
      this.#fail(error, () => this.start());
      return;
    }
    // Whoever was faster than this has typed already.
    const { q, negative } = this.box.words;
    if (q !== this.query.q || negative !== this.query.negative) this.go({ q, negative }, true);
    else this.show();
    if (this.steps.item) this.#openFromAddress(this.steps.item);
  }

  /** @returns {Collection | null} */
  get collection() {
    const name = this.query.collection || this.preferred;
    return this.collections.find((one) => one.name === name) ?? null;
  }

  /**
   * Ask something else: remembered as a step back to what was asked before.
   * @param {Partial<Query>} changes
   * @param {boolean} [draft]  what is being typed; the next step replaces it
   */
  go(changes, draft = false) {
    const next = { ...this.query, ...this.box.untold, ...changes };
    if (toAddress(next) === toAddress(this.query) && next.picture === this.query.picture) {
      if (!draft) this.steps.keep();
      if (!draft && !this.search) this.show();
      return;
    }
    this.query = next;
    this.steps.go(next, draft);
    this.show();
  }

  /** Show the controls of the query, and its answer when that is there. */
  show() {
    if (!this.collections.length) return;
    this.search?.stop();
    this.search = null;
    this.#controls();
    this.notice.clear();
    const { query } = this;
    if (query.lost && !query.picture) this.#tellLost(query.lost);
    if (isAsked(query)) {
      this.welcome.hide();
      this.#run(new Search(query));
    } else {
      this.#busy(false);
      this.results.clear();
      this.status.textContent = "";
      byId("notes").hidden = true;
      this.welcome.show(this.collection);
    }
  }

  /** @param {Search} search */
  async #run(search) {
    this.search = search;
    this.#busy(true);
    const late = setTimeout(() => this.status.replaceChildren("Searching…"), LATE_MS);
    try {
      await search.more();
      if (this.search !== search) return;
      this.notice.relieve();
      this.steps.step.search = search;
      this.results.show(search);
      this.#tell(search);
    } catch (error) {
      if (this.search !== search || search.stopped) return;
      this.results.clear();
      this.search = null;
      this.#fail(error, () => this.show());
    } finally {
      clearTimeout(late);
      if (this.search === search || this.search === null) this.#busy(false);
    }
  }

  async #more() {
    const { search } = this;
    if (!search || search.loading || search.complete || !this.notice.box.hidden) return;
    try {
      search.resume();
      await search.more();
      if (this.search !== search) return;
      this.notice.relieve();
      this.results.grow();
      this.#tell(search);
    } catch (error) {
      if (this.search !== search || search.stopped) return;
      this.#fail(error, () => this.#more());
    }
  }

  /** @param {Search} search  of which at least the first page is there */
  #tell({ query, results, complete, limit, notes, took }) {
    const noun = NOUN[query.kind];
    const order = query.sort ? "" : isComparedBy(query) ? ", best first" : "";
    const some = `${isComparedBy(query) && limit ? "best" : "first"} ${number(limit ?? results.length)} ${noun}s`;
    const count =
      limit && results.length < limit
        ? `${number(results.length)} of the ${some}`
        : complete && !limit
          ? counted(results.length, noun)
          : `The ${some}`;
    this.status.textContent = results.length ? `${count}${order} · ${Math.max(1, Math.round(took))} ms` : "";
    byId("notes").replaceChildren(...notes.map((note) => `${sentence(note)} `));
    byId("notes").hidden = notes.length === 0;
    if (results.length === 0) this.#tellEmpty();
  }

  #tellEmpty() {
    const { query } = this;
    const remedies = [];
    if (query.filter || query.minScore !== null) {
      remedies.push({ label: "Search without filters", act: () => this.go({ filter: null, minScore: null }) });
    }
    if (query.mode === "keyword")
      remedies.push({ label: "Search by meaning", act: () => this.go({ mode: "semantic" }) });
    remedies.push({ label: "Start over", act: () => byId("home").click() });
    const why =
      query.mode === "keyword" && query.q
        ? "No prompt has all of these words."
        : query.filter || query.minScore !== null
          ? "Nothing meets all of these conditions."
          : "There is nothing like this here.";
    this.notice.say(`No ${NOUN[query.kind]} was found`, why, remedies);
  }

  /** @param {string} name */
  #tellLost(name) {
    byId("lost-name").textContent = name;
    byId("lost").hidden = false;
  }

  /**
   * @param {unknown} error
   * @param {() => void} again
   */
  #fail(error, again) {
    this.#busy(false);
    this.status.textContent = "";
    this.welcome.hide();
    if (!(error instanceof Failure)) throw error;
    const { query } = this;
    if (error.type === "key-needed") this.notice.askForKey(() => (this.collections.length ? again() : this.start()));
    else if (error.passes) this.notice.wait(error, again);
    else if (error.type === `no-${NOUN[query.kind] === "picture" ? "image" : "prompt"}-index` && !query.like) {
      const other = OTHER[query.kind];
      this.notice.say(`No ${NOUN[query.kind]}s to search`, `This collection has ${NOUN[other]}s alone.`, [
        { label: `Search the ${NOUN[other]}s`, act: () => this.#switchKind(other) },
      ]);
    } else if (error.type === "cursor-gone") {
      const act = () => this.show();
      this.notice.say("This collection has a new version", "What is shown is of the one before.", [
        { label: "Search again", act },
      ]);
    } else {
      const remedies = [{ label: "Start over", act: () => byId("home").click() }];
      if (error.type === "unknown-collection" && this.preferred) {
        remedies.unshift({
          label: `Search in ${this.preferred}`,
          act: () => this.#switchCollection(this.preferred ?? ""),
        });
      } else if (error.status >= 500) remedies.unshift({ label: "Try again", act: again });
      this.notice.say("This did not work", sentence(error.message), remedies, "wrong");
    }
  }

  /** @param {boolean} busy */
  #busy(busy) {
    this.main.setAttribute("aria-busy", String(busy));
  }

  #controls() {
    const { query, collection } = this;
    this.box.show(query);
    this.toolbar.show(query);
    this.chips.show(query);
    this.filters.show(query);
    byId("lost").hidden = true;
    byId("gone").hidden = true;
    this.choice.value = query.collection || this.preferred || "";
    const subject = query.q.trim() || (query.like || query.of ? "similar" : query.picture ? "picture" : "");
    document.title = subject ? `${shortened(subject, 60)} · prompt-search` : "prompt-search";
    if (!collection) return;
    this.toolbar.offer(collection);
    if (!collection[query.kind] && collection[OTHER[query.kind]]) {
      this.#correct({ kind: OTHER[query.kind] });
      this.toolbar.show(this.query);
    }
    if (this.fieldsOf !== collection.name) this.#loadFields(collection.name);
  }

  /** @param {string} name */
  async #loadFields(name) {
    this.fieldsOf = name;
    /** @type {Field[]} */
    let fields = [];
    try {
      fields = await service.fields(name);
    } catch {
      this.fieldsOf = ""; // asked for again with the next search, which says what is wrong
    }
    if (this.fieldsOf !== name && this.fieldsOf !== "") return;
    this.filters.build(fields);
    this.toolbar.build(fields);
  }

  /** @param {Partial<Query>} changes  that are no step of their own */
  #correct(changes) {
    this.query = { ...this.query, ...changes };
    this.steps.correct(this.query);
  }

  /** @param {Query["kind"]} kind */
  #switchKind(kind) {
    const like = this.query.of ? `prompts/${this.query.of}` : this.query.like;
    this.go({ kind, like, of: "", sort: "", ...this.box.words });
  }

  /** @param {string} name */
  #switchCollection(name) {
    // Ids and fields are of one collection; words are of all.
    const q = this.chips.wordsOf(this.query);
    this.go({
      ...UNASKED,
      collection: name,
      q,
      negative: this.query.negative,
      picture: this.query.picture,
      filter: null,
      sort: "",
    });
  }

  /** @param {Partial<Query>} changes */
  #leaveViewer(changes) {
    this.go(changes);
    if (this.viewer.dialog.open) this.viewer.close(true);
  }

  /** @param {boolean} left */
  #closed(left) {
    const { viewer } = this;
    if (!left) this.steps.close(this.query);
    if (viewer.own && this.search?.results === viewer.results) this.results.focus(viewer.index);
  }

  /** @param {string} place */
  async #openFromAddress(place) {
    try {
      const item = await service.item(place, this.query.collection);
      if (this.steps.item !== place) return;
      const at = this.search?.results.findIndex(({ id }) => id === item.id) ?? -1;
      if (at >= 0) this.viewer.show(this.search?.results ?? [], at, this.query.collection, true);
      else this.viewer.show([item], 0, this.query.collection, false);
    } catch (error) {
      if (error instanceof Failure && !error.passes && error.type !== "key-needed") this.#tellGone(error.message);
    }
  }

  /**
   * Beside the results, which are there all the same.
   * @param {string} why
   */
  #tellGone(why) {
    byId("gone").hidden = false;
    byId("gone-why").textContent = `This is no longer here. ${sentence(why)}`;
  }

  /**
   * Someone went back or forward.
   * @param {Query} query
   * @param {import("./history.js").Step} step
   * @param {string} item
   */
  #moved(query, step, item) {
    byId("gone").hidden = true;
    const same = toAddress(query) === toAddress(this.query) && query.picture === this.query.picture;
    if (!same) {
      this.query = query;
      this.search?.stop();
      if (step.search) {
        this.search = step.search;
        this.search.resume();
        this.#controls();
        this.notice.relieve();
        this.welcome.hide();
        this.#busy(false);
        this.#tell(this.search);
        this.results.show(this.search, step.scroll);
      } else {
        this.show();
        scrollTo(0, 0);
      }
    }
    if (!item && this.viewer.dialog.open) this.viewer.close(true);
    else if (item && item !== this.viewer.place) this.#openFromAddress(item);
  }
}

/** @param {Query} query */
const isComparedBy = (query) => query.q.trim() !== "" || query.picture !== null || query.like !== "";

const app = new App();
byId("unloaded").remove();
app.start();
