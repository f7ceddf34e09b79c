// The search page. What is shown follows from `state`, which lives in the address; whatever the server says enters the
// page as text or as an attribute, never as markup.

const EXAMPLES = ["happy dog", "angry cat", "red fruit", "flag of japan"];
const TYPING_MS = 300; // of rest before a search begins while someone types
const WAITING_MS = 400; // before it is said that a search is under way
const LIMIT = { images: 30, prompts: 20 };
const ONE = { images: "picture", prompts: "prompt" };
const OTHER = { images: "prompts", prompts: "images" };

const $ = (id) => document.getElementById(id);
const [form, q, file] = ["form", "q", "file"].map($);
const [results, status, more, remedy] = ["results", "status", "more", "remedy"].map($);
const [unlock, key] = ["unlock", "key"].map($);
const chip = { box: $("chip"), img: $("chip").querySelector("img"), label: $("chip").querySelector("span") };

// A picture cannot be written into an address: the history entry has the key of one that this visit remembers.
const pictures = new Map();
let state = fromAddress();
let running = new AbortController(); // the search whose answer may be shown
let typing = 0; // the timer of a search that waits for the rest of a word
let draft = false; // the newest history entry is a half-typed query, which the next one replaces

function fromAddress() {
  const given = new URLSearchParams(location.search);
  return {
    q: given.get("q") ?? "",
    kind: given.get("kind") === "prompts" ? "prompts" : "images",
    collection: given.get("collection") ?? "",
    like: given.get("like") ?? "", // the id of an item whose neighbours are asked for
    picture: pictures.get(history.state) ?? null,
  };
}

function address({ q, kind, collection, like }) {
  const given = { q, like, kind: kind === "images" ? "" : kind, collection };
  return `/?${new URLSearchParams(Object.entries(given).filter(([, value]) => value))}`.replace(/\?$/, "");
}

/** Change the state, remember it as a history entry and show it. */
function go(change, { asDraft = false } = {}) {
  clearTimeout(typing);
  const next = { ...state, ...change };
  const changed = next.picture !== state.picture || address(next) !== address(state);
  state = next;
  if (changed) {
    const key = state.picture && [...pictures].find(([, picture]) => picture === state.picture)[0];
    history[asDraft && draft ? "replaceState" : "pushState"](key, "", address(state));
    scrollTo(0, 0); // to where the best results will be
  }
  draft = asDraft && (changed || draft);
  show();
}

function withPicture(picture) {
  pictures.set(`${Date.now()} ${pictures.size}`, picture); // unlike those of the page before a reload
  go({ picture, like: "", q: q.value });
}

async function show() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const { kind, like, picture } = state;
  const asked = state.q.trim() !== "" || picture !== null || like !== "";
  showControls(signal);
  if (!asked) {
    clear();
    status.textContent = "";
  }
  $("welcome").hidden = asked;
  if (asked) await load(signal, kind, () => (like ? similar(kind, like, {}) : search(kind)), clear);
}

/** Await an answer and append its results, or show what went wrong; nothing where a newer search has begun. */
async function load(signal, kind, ask, before = () => {}) {
  $("main").setAttribute("aria-busy", "true");
  const late = setTimeout(() => (status.textContent = "Searching…"), WAITING_MS);
  try {
    const answer = await ask();
    if (signal.aborted) return;
    before();
    showAnswer(kind, answer);
  } catch (error) {
    if (signal.aborted) return;
    before();
    showProblem(kind, error);
  } finally {
    clearTimeout(late);
    if (signal === running.signal) $("main").setAttribute("aria-busy", "false");
  }
}

function search(kind) {
  const { q, collection, picture } = state;
  const given = { q: q.trim(), collection, limit: LIMIT[kind] };
  if (picture === null) return get(`/search/${kind}`, given);
  const body = new FormData();
  for (const [name, value] of Object.entries(given)) if (value) body.append(name, value);
  body.append("image", picture);
  return answered(fetch(`/search/${kind}`, { method: "POST", body, signal: running.signal }));
}

function similar(kind, id, given) {
  given = { collection: state.collection, limit: LIMIT[kind], ...given };
  return get(`/${kind}/${encodeURIComponent(id)}/similar`, given);
}

function get(path, given = {}) {
  const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value));
  return answered(fetch(`${path}?${query}`, { signal: running.signal }));
}

/** The answer's JSON; throws an Error with the problem document's detail, and its `type`, where there is one. */
async function answered(fetching) {
  let response;
  try {
    response = await fetching;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error("The service did not answer. Is it still running?");
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw Object.assign(new Error(body.detail ?? `The service answered ${response.status}.`), { type: body.type });
}

function clear() {
  if (results.contains(document.activeElement)) status.focus({ preventScroll: true });
  results.replaceChildren();
  $("problem").hidden = unlock.hidden = remedy.hidden = more.hidden = true;
}

function showControls(signal) {
  if (q.value.trim() !== state.q.trim()) q.value = state.q; // not under the hands of someone who types
  form.elements.kind.value = state.kind;
  $("collection").value = state.collection;
  const subject = state.q.trim() || (state.like && "similar") || (state.picture && "picture");
  document.title = subject ? `${subject} · prompt-search` : "prompt-search";
  chip.box.hidden = state.picture === null && !state.like;
  URL.revokeObjectURL(chip.img.src);
  if (state.picture) {
    showChip(URL.createObjectURL(state.picture), state.picture.name);
  } else if (state.like) {
    showChip(null, "");
    get(`/${state.kind}/${encodeURIComponent(state.like)}`, { collection: state.collection }).then(
      (item) => signal.aborted || showChip((item.image ?? item.images[0]?.image)?.thumbnail, textOf(item)),
      () => {}, // the search itself says what is wrong with the id
    );
  }
}

function showChip(source, text) {
  chip.img.hidden = !source;
  if (source) chip.img.src = source;
  chip.label.textContent = state.like ? `Similar to ${text ? `“${text}”` : "this"}` : text;
  chip.text = text;
}

function showAnswer(kind, answer) {
  results.className = kind;
  const before = results.childElementCount;
  results.append(...answer.results.map((result) => (kind === "images" ? imageResult(result) : promptResult(result))));
  const count = results.childElementCount;
  const last = document.activeElement === more && !answer.next;
  more.hidden = !answer.next;
  more.onclick = () => {
    const { signal } = running;
    more.onclick = null; // a second click while the first one's answer is awaited
    const given = { cursor: answer.next, collection: state.collection, limit: LIMIT[kind] };
    load(signal, kind, () => (state.like ? similar(kind, state.like, given) : get(`/search/${kind}`, given)));
  };
  if (last) results.children[before]?.querySelector("button").focus({ preventScroll: true });
  status.textContent = count
    ? `${counted(count, ONE[kind])}, best first · ${Math.max(1, Math.round(answer.took_ms))} ms`
    : `No ${ONE[kind]} was found.`;
}

function showProblem(kind, error) {
  if (error.type === "urn:prompt-search:key-needed") return askForKey("This service asks for an API key.");
  const noIndex = error.type === `urn:prompt-search:no-${kind.slice(0, -1)}-index`;
  const message = noIndex && !state.like ? `This collection has no ${ONE[kind]}s to search.` : error.message;
  $("problem").firstElementChild.textContent = message;
  $("problem").hidden = remedy.hidden = false;
  more.hidden = true;
  status.textContent = "";
  if (noIndex) {
    remedy.textContent = `Search the ${ONE[OTHER[kind]]}s instead`;
    remedy.onclick = () => switchKind(OTHER[kind]);
  } else {
    remedy.textContent = "Try again";
    remedy.onclick = show;
  }
}

function askForKey(why) {
  $("problem").firstElementChild.textContent = why;
  $("welcome").hidden = more.hidden = remedy.hidden = true;
  $("problem").hidden = unlock.hidden = false;
  status.textContent = "";
  key.focus();
}

/** Exchange the key for a cookie, which the browser then sends with every request and every picture. */
async function begin(event) {
  event.preventDefault();
  const headers = { Authorization: `Bearer ${key.value.trim()}` };
  try {
    await answered(fetch("/session", { method: "POST", headers }));
  } catch (error) {
    return askForKey(error.message);
  }
  key.value = "";
  clear();
  await listCollections().catch(() => {});
  show();
}

function switchKind(kind) {
  go(state.like ? { kind, like: "", q: chip.text } : { kind, q: q.value }); // an id is of one kind, its text of both
}

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const textOf = (item) => item.text ?? item.prompt?.text ?? "";

function result(kind, item) {
  const node = $(`${kind}-result`).content.firstElementChild.cloneNode(true);
  const text = textOf(item);
  node.querySelector(".text").textContent = text || "without a prompt";
  node.querySelector(".text").title = text;
  node.querySelector(".text").classList.toggle("faint", !text);
  node.querySelector(".score").textContent = item.score.toFixed(3);
  const button = node.querySelector("button");
  button.setAttribute("aria-label", `Similar to ${text || `this ${ONE[kind]}`}`);
  button.onclick = () => go({ kind, like: item.id, q: "", picture: null });
  return node;
}

function imageResult(item) {
  const node = result("images", item);
  fill(node.querySelector(".frame"), item.image, textOf(item), () => node.querySelector(".text").remove());
  return node;
}

function promptResult(item) {
  const node = result("prompts", item);
  node.querySelector(".count").textContent = counted(item.image_count, "picture");
  const shown = item.images.filter(({ image }) => image.thumbnail);
  node.querySelector(".strip").append(
    ...shown.map(({ image }) => {
      const frame = document.createElement("a");
      frame.className = "frame";
      fill(frame, image, item.text, () => frame.remove());
      return frame;
    }),
  );
  return node;
}

/** Put a picture into its frame, a link to the original; the text where there is no picture. */
function fill(frame, image, text, onMissing) {
  const original = image.file ?? (/^https?:\/\//.test(image.source) ? image.source : null);
  if (original) Object.assign(frame, { href: original, target: "_blank", rel: "noopener noreferrer" });
  const missing = () => {
    frame.classList.add("missing");
    frame.textContent = text || "no picture";
    onMissing();
  };
  if (!image.thumbnail) return missing();
  const img = document.createElement("img");
  Object.assign(img, { alt: text || "Picture without a prompt", loading: "lazy" });
  img.onerror = missing;
  img.src = image.thumbnail;
  frame.append(img);
}

async function listCollections() {
  const { collections, default: preferred } = await answered(fetch("/collections"));
  if (collections.length < 2) return;
  $("collection").replaceChildren(...collections.map(({ name }) => new Option(name)));
  $("choice").hidden = false;
  state.collection ||= preferred ?? collections[0].name;
  history.replaceState(history.state, "", address(state));
}

const typed = () => ({ q: q.value, ...(q.value.trim() && { like: "" }) });
q.addEventListener("input", (event) => {
  clearTimeout(typing);
  if (!event.isComposing) typing = setTimeout(() => go(typed(), { asDraft: true }), TYPING_MS);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(typed());
});
form.addEventListener("change", ({ target }) => {
  if (target.name === "kind") switchKind(target.value);
  if (target === $("collection")) go({ collection: target.value, like: "", q: state.like ? chip.text : q.value });
  if (target === file && file.files[0]) {
    withPicture(file.files[0]);
    file.value = ""; // so that the same one can be chosen again
  }
});
chip.box.querySelector("button").addEventListener("click", () => {
  q.focus();
  go({ picture: null, like: "" });
});
unlock.addEventListener("submit", begin);
chip.img.addEventListener("error", () => (chip.img.hidden = true));
$("examples").append(
  ...EXAMPLES.map((text) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.onclick = () => go({ q: text });
    return button;
  }),
);

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault(); // else the browser leaves the page to show the file
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  document.body.classList.remove("dragging");
  if (!carriesFiles(event)) return;
  event.preventDefault();
  if (event.dataTransfer.files[0]) withPicture(event.dataTransfer.files[0]);
});
addEventListener("paste", ({ clipboardData }) => {
  if (clipboardData?.files[0]) withPicture(clipboardData.files[0]);
});
addEventListener("popstate", () => {
  clearTimeout(typing);
  draft = false;
  state = fromAddress();
  show();
});

q.value = state.q;
const refusal = await listCollections().catch((error) => error); // a search will say that the service is not there
if (refusal?.type === "urn:prompt-search:key-needed") showProblem(state.kind, refusal);
else if (q.value === state.q) show();
else go(typed(), { asDraft: true }); // someone was faster
