// The application: keeps the query, the URL and the results in step.

/** @import { Collection, Field, Kind } from "./api/types.js" */
/** @import { Entry } from "./query/history.js" */
/** @import { Query } from "./query/query.js" */

import * as client from "./api/client.js";
import { Failure } from "./api/failure.js";
import { Chips } from "./controls/chips.js";
import { CollectionSelect } from "./controls/collection-select.js";
import { Filters } from "./controls/filters.js";
import { SearchBox } from "./controls/search-box.js";
import { Toolbar } from "./controls/toolbar.js";
import { copyWithFeedback } from "./lib/clipboard.js";
import { byId } from "./lib/dom.js";
import { Gone } from "./notices/gone.js";
import { OTHER_KIND, showFailure } from "./notices/messages.js";
import { Notice } from "./notices/notice.js";
import { Welcome } from "./notices/welcome.js";
import { QueryHistory } from "./query/history.js";
import { isSearch, NO_OPTIONS, NO_TERMS, titleOf } from "./query/query.js";
import { Search } from "./query/search.js";
import { toUrl } from "./query/url.js";
import { SearchRun } from "./results/search-run.js";
import { Viewer } from "./viewer/viewer.js";

class App {
  constructor() {
    this.fieldsOf = ""; // the collection whose fields the filter panel shows
    this.history = new QueryHistory((query, entry, item) => this.#onPop(query, entry, item));
    this.query = this.history.query;
    const onChange = (/** @type {Partial<Query>} */ change) => this.change(change);
    this.searchBox = new SearchBox((change, draft) => this.change(change, draft));
    this.collectionSelect = new CollectionSelect((name) => this.#switchCollection(name));
    this.chips = new Chips(onChange);
    this.filters = new Filters(onChange);
    this.toolbar = new Toolbar((change) => (change.kind ? this.#switchKind(change.kind) : this.change(change)));
    this.welcome = new Welcome(onChange);
    this.notice = new Notice();
    this.remedies = {
      change: onChange,
      switchKind: (/** @type {Kind} */ kind) => this.#switchKind(kind),
      switchCollection: (/** @type {string} */ name) => this.#switchCollection(name),
      searchAgain: () => this.show(),
      startOver: () => byId("home").click(),
    };
    this.viewer = this.#createViewer();
    this.searchRun = this.#createSearchRun();
    this.gone = new Gone(() => this.#onGoneClosed());
    byId("home").addEventListener("click", (event) => this.#onHome(event));
  }

  #createViewer() {
    return new Viewer({
      ...this.#itemActions(),
      showPromptImages: (promptId, text, thumbnail) => {
        this.chips.remember(`prompts/${promptId}`, { text, thumbnail });
        this.#leaveViewer({ ...NO_TERMS, promptId, kind: "images", filter: null, sort: "", grouped: false });
      },
      onMove: (path) => this.history.openItem(this.query, path),
      onClose: (leftByHistory) => this.#onViewerClosed(leftByHistory),
      loadMore: () => this.searchRun.loadMore(),
      isComplete: () => this.search?.complete ?? true,
    });
  }

  #createSearchRun() {
    const actions = {
      ...this.#itemActions(),
      open: (
        /** @type {string} */ path,
        /** @type {number} */ index,
        /** @type {import("./api/types.js").ImageResult[] | undefined} */ images,
      ) => {
        this.gone.hide();
        this.viewer.show(images ?? this.search?.results ?? [], index, this.query.collection, !images);
        this.history.openItem(this.query, path);
      },
      copy: (/** @type {string} */ text, /** @type {HTMLElement} */ button) =>
        copyWithFeedback(text, button, byId("announcement")),
    };
    return new SearchRun(actions, this.notice, this.remedies, {
      onLoaded: (search) => {
        this.history.entry.search = search;
      },
      onError: (error, retry) => this.#fail(error, retry),
    });
  }

  /** Return what both the results and the viewer can do with an item. */
  #itemActions() {
    return {
      urlOf: (/** @type {string} */ path) => toUrl(this.query, path),
      findSimilar: (/** @type {string} */ path, /** @type {string} */ text, /** @type {string | null} */ thumbnail) => {
        this.chips.remember(path, { text, thumbnail });
        const kind = path.startsWith("images") ? "images" : "prompts";
        this.#leaveViewer({ ...NO_TERMS, like: path, kind, filter: null, sort: "" });
      },
      useAsQuery: (/** @type {string} */ text) => this.#leaveViewer({ ...NO_TERMS, q: text }),
    };
  }

  /** Load the collections, then show the query of the URL. */
  async start() {
    this.searchBox.show(this.query);
    try {
      const list = await client.collections();
      this.notice.reset();
      this.collectionSelect.setCollections(list);
      const [first] = list.collections;
      if (!this.query.collection && list.default === null && first) this.#correct({ collection: first.name });
    } catch (error) {
      this.#fail(error, () => this.start());
      return;
    }
    // Words that were typed meanwhile are searched for.
    const { q, negative } = this.searchBox.words;
    if (q !== this.query.q || negative !== this.query.negative) this.change({ q, negative }, true);
    else this.show();
    if (this.history.item) this.#openFromUrl(this.history.item);
  }

  /** The search whose results are shown or awaited. */
  get search() {
    return this.searchRun.search;
  }

  /** @returns {Collection | null} */
  get collection() {
    return this.collectionSelect.get(this.query.collection);
  }

  /**
   * Change the query, which adds an entry to the history.
   * @param {Partial<Query>} change
   * @param {boolean} [draft]  a half-typed query, which the next change replaces
   */
  change(change, draft = false) {
    const next = { ...this.query, ...this.searchBox.pendingWords, ...change };
    if (toUrl(next) === toUrl(this.query) && next.image === this.query.image) {
      if (!draft) this.history.keep();
      if (!draft && !this.search) this.show();
      return;
    }
    this.query = next;
    this.history.push(next, draft);
    this.show();
  }

  /** Show the query in the controls, and run its search. */
  show() {
    if (!this.collectionSelect.collections.length) return;
    this.searchRun.stop();
    this.#showControls();
    this.notice.clear();
    const { query } = this;
    if (query.lostImage && !query.image) this.#showLostImage(query.lostImage);
    if (isSearch(query)) {
      this.welcome.hide();
      this.searchRun.start(new Search(query));
    } else {
      this.searchRun.clear();
      this.welcome.show(this.collection);
    }
  }

  /**
   * @param {unknown} error
   * @param {() => void} retry
   */
  #fail(error, retry) {
    this.searchRun.idle();
    this.welcome.hide();
    if (!(error instanceof Failure)) throw error;
    const { collections, preferred } = this.collectionSelect;
    if (error.type === "key-needed") this.notice.showKeyForm(() => (collections.length ? retry() : this.start()));
    else if (error.isTemporary) this.notice.showRetry(error, retry);
    else showFailure(this.notice, error, this.query, preferred, retry, this.remedies);
  }

  #showControls() {
    const { query, collection } = this;
    this.searchBox.show(query);
    this.toolbar.show(query);
    this.chips.show(query);
    this.filters.show(query);
    this.collectionSelect.show(query.collection);
    byId("lost").hidden = true;
    this.gone.hide();
    document.title = titleOf(query);
    if (!collection) return;
    this.toolbar.setCollection(collection);
    const other = OTHER_KIND[query.kind];
    if (!collection[query.kind] && collection[other]) {
      this.#correct({ kind: other });
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
      fields = await client.fields(name);
    } catch {
      this.fieldsOf = ""; // requested again with the next search, which reports the error
    }
    if (this.fieldsOf !== name && this.fieldsOf !== "") return;
    this.filters.setFields(fields);
    this.toolbar.setFields(fields);
  }

  /** @param {Partial<Query>} change  without an entry in the history */
  #correct(change) {
    this.query = { ...this.query, ...change };
    this.history.replace(this.query);
  }

  /** @param {Kind} kind */
  #switchKind(kind) {
    const like = this.query.promptId ? `prompts/${this.query.promptId}` : this.query.like;
    this.change({ kind, like, promptId: "", sort: "", ...this.searchBox.words });
  }

  /** @param {string} name */
  #switchCollection(name) {
    // Ids and fields belong to one collection; words work in all of them.
    const q = this.chips.asWords(this.query);
    const { negative, image } = this.query;
    this.change({ ...NO_TERMS, collection: name, q, negative, image, filter: null, sort: "" });
  }

  /** @param {MouseEvent} event */
  #onHome(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.change({ ...NO_TERMS, ...NO_OPTIONS, sort: "" });
    this.searchBox.focus();
  }

  /** @param {string} name */
  #showLostImage(name) {
    byId("lost-name").textContent = name;
    byId("lost").hidden = false;
  }

  /** @param {Partial<Query>} change */
  #leaveViewer(change) {
    this.change(change);
    if (this.viewer.dialog.open) this.viewer.close(true);
  }

  /** @param {boolean} leftByHistory */
  #onViewerClosed(leftByHistory) {
    const { viewer } = this;
    if (!leftByHistory) this.history.closeItem(this.query);
    if (viewer.followsSearch && this.search?.results === viewer.results) this.searchRun.results.focus(viewer.index);
  }

  /** @param {string} path */
  async #openFromUrl(path) {
    try {
      const item = await client.item(path, this.query.collection);
      if (this.history.item !== path) return;
      const index = this.search?.results.findIndex(({ id }) => id === item.id) ?? -1;
      if (index >= 0) this.viewer.show(this.search?.results ?? [], index, this.query.collection, true);
      else this.viewer.show([item], 0, this.query.collection, false);
    } catch (error) {
      if (error instanceof Failure && !error.isTemporary && error.type !== "key-needed") this.gone.show(error.message);
    }
  }

  #onGoneClosed() {
    this.history.closeItem(this.query);
    byId("main").focus({ preventScroll: true });
  }

  /**
   * Show an entry of the history, after the user went back or forward.
   * @param {Query} query
   * @param {Entry} entry
   * @param {string} item
   */
  #onPop(query, entry, item) {
    this.gone.hide();
    const same = toUrl(query) === toUrl(this.query) && query.image === this.query.image;
    if (!same) {
      this.query = query;
      this.search?.stop();
      if (entry.search) this.#restore(entry.search, entry.scroll);
      else {
        this.show();
        scrollTo(0, 0);
      }
    }
    if (!item && this.viewer.dialog.open) this.viewer.close(true);
    else if (item && item !== this.viewer.path) this.#openFromUrl(item);
  }

  /**
   * Show the results of an earlier search.
   * @param {Search} search
   * @param {number} scroll
   */
  #restore(search, scroll) {
    this.#showControls();
    this.welcome.hide();
    this.searchRun.restore(search, scroll);
  }
}

const app = new App();
byId("unloaded").remove();
app.start();
