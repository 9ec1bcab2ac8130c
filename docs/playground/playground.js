// The page: what is typed goes to the worker, its answer to the frame; the network is in the URL's fragment.

const START = "resnet";
const PAUSE = 200; // milliseconds without a key before the fragment is written, of which browsers allow few
const at = (id) => document.getElementById(id);
const text = at("text"), network = at("network"), variant = at("variant");
const FIELDS = ["set", "input", "batch", "with"]; // each a field of the form and a key of the fragment

const worker = new Worker("worker.js", { type: "module" });
let networks = {};
let asked = 0, waiting = null, busy = false, typed = 0;

// What is shown

function status(words) {
  at("status").textContent = words;
}

function number() {
  const lines = text.value.split("\n").length;
  at("numbers").textContent = Array.from({ length: lines }, (_, line) => line + 1).join("\n");
}

function scrolled() {
  at("numbers").style.transform = at("marks").style.transform = `translateY(${-text.scrollTop}px)`;
}

function select(line) {
  const before = text.value.split("\n").slice(0, line).join("\n").length + (line ? 1 : 0);
  text.focus();
  text.setSelectionRange(before, before + text.value.split("\n")[line].length);
  text.scrollTop = Math.max(0, line * 20 - text.clientHeight / 2);
}

function show_problems(problems) {
  at("problems").replaceChildren(...problems.map((problem) => {
    const shown = document.createElement(problem.line === null ? "pre" : "button");
    shown.textContent = problem.text;
    if (problem.line !== null) {
      shown.type = "button";
      shown.onclick = () => select(problem.line);
    }
    return shown;
  }));
  const lines = new Set(problems.map((problem) => problem.line).filter((line) => line !== null));
  at("marks").replaceChildren(...[...lines].map((line) => {
    const mark = document.createElement("i");
    mark.style.top = `${line * 20}px`;
    return mark;
  }));
  text.setAttribute("aria-invalid", String(problems.length > 0));
  at("right").classList.toggle("stale", problems.length > 0);
}

// The frame has no sandbox, so that its scroll position can be kept: the page in it has a Content-Security-Policy
// that lets no script run but its own, and asks no network.
function show_page(page) {
  const before = at("right").querySelector("iframe:not(.next)");
  at("right").querySelectorAll("iframe.next").forEach((each) => each.remove());
  const next = document.createElement("iframe");
  next.className = "next";
  next.title = "The figures of the network";
  next.srcdoc = page;
  next.onload = () => {
    if (before) keep(before.contentDocument, next.contentDocument);
    if (before) next.contentWindow.scrollTo(before.contentWindow.scrollX, before.contentWindow.scrollY);
    next.className = "";
    before?.remove();
    requestAnimationFrame(() => {
      document.body.dataset.shown = String(Math.round(performance.now() - typed)); // milliseconds since the last key
    });
  };
  at("right").append(next);
}

// What was open stays open.
function keep(before, after) {
  const boxes = [...before.querySelectorAll("details")], same = [...after.querySelectorAll("details")];
  if (boxes.length === same.length) boxes.forEach((box, at) => (same[at].open = box.open));
}

function offer(names, chosen) {
  const shown = [...variant.options].map((option) => option.value).join();
  if (shown !== ["", ...names].join()) {
    variant.replaceChildren(...["", ...names].map((name) => new Option(name || "as written", name)));
  }
  variant.value = names.includes(chosen) ? chosen : "";
  variant.disabled = names.length === 0;
}

// What is asked of the worker, one thing at a time; of what is typed meanwhile, the last

function ask(question) {
  waiting = { ...question, id: ++asked };
  if (!busy) send();
}

function send() {
  busy = true;
  worker.postMessage(waiting);
  waiting = null;
}

worker.onmessage = ({ data }) => {
  if (data.failed) return status(`This copy of the site cannot run cnnprof: ${data.failed}`);
  if (data.ready) return started(data.networks);
  busy = false;
  if (waiting) send(); // and what is there is shown meanwhile
  else settle(data);
  show_problems(data.problems ?? []);
  if (data.page) show_page(data.page);
  status(data.problems ? `${data.problems.length === 1 ? "1 problem" : `${data.problems.length} problems`}`
    : `Computed in ${Math.round(data.took)} ms`);
};

// The form follows an answer that is still the last one.
function settle(data) {
  if (data.text !== undefined) {
    fill({ text: data.text });
    save();
  }
  if (data.variants && (data.page || data.variants.length)) offer(data.variants, variant.dataset.wanted ?? variant.value);
  delete variant.dataset.wanted;
}

function analyze() {
  const fields = Object.fromEntries(FIELDS.map((name) => [name, at(name).value]));
  ask({ spec: { text: text.value, variant: variant.dataset.wanted ?? variant.value, ...fields } });
}

// The fragment: `#spec=resnet@50` for a network that comes with cnnprof, `#text=…` for one's own, and the fields

async function packed(words) {
  const stream = new Blob([words]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const found = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(Array.from(found, (each) => String.fromCharCode(each)).join(""))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

async function unpacked(words) {
  const found = Uint8Array.from(atob(words.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
  const stream = new Blob([found]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}

async function save() {
  const parts = [];
  const chosen = variant.dataset.wanted ?? variant.value;
  if (network.value) parts.push(`spec=${network.value}${chosen ? `@${chosen}` : ""}`);
  else {
    const words = text.value;
    parts.push(`text=${await packed(words)}`);
    if (text.value !== words) return; // typed on meanwhile: what is saved next has it
    if (chosen) parts.push(`variant=${encodeURIComponent(chosen)}`);
  }
  for (const name of FIELDS) if (at(name).value) parts.push(`${name}=${encodeURIComponent(at(name).value)}`);
  history.replaceState(null, "", `#${parts.join("&")}`);
}

async function restore() {
  const given = new URLSearchParams(location.hash.slice(1).replace(/\+/g, "%2B"));
  const [name, chosen = ""] = (given.get("spec") ?? START).split("@");
  let own;
  if (given.has("text")) {
    try {
      own = await unpacked(given.get("text"));
    } catch {
      own = "# The link is not complete: the spec in it cannot be read.\n";
    }
  } else if (!(name in networks)) own = `# The link names \`${name}\`, which does not come with this version of cnnprof.\n`;
  const shared = { variant: given.get("variant") ?? chosen };
  for (const name of FIELDS) shared[name] = given.get(name) ?? "";
  fill(own === undefined ? { ...shared, name, text: networks[name] } : { ...shared, text: own });
  analyze();
}

function fill(found) {
  text.value = found.text;
  network.value = found.name ?? "";
  variant.dataset.wanted = found.variant ?? "";
  for (const name of FIELDS) at(name).value = found[name] ?? "";
  number();
  scrolled();
}

// What the user does

let pause = 0;
function changed() {
  typed = performance.now();
  analyze();
  clearTimeout(pause);
  pause = setTimeout(save, PAUSE);
}

text.addEventListener("input", () => {
  network.value = "";
  number();
  changed();
});
text.addEventListener("scroll", scrolled);
text.addEventListener("keydown", (event) => { // a new line begins where the last one did
  if (event.key !== "Enter" || event.isComposing) return;
  const line = text.value.slice(0, text.selectionStart).split("\n").pop();
  event.preventDefault();
  document.execCommand("insertText", false, `\n${line.match(/^ */)[0]}`); // the only way that can be undone
});
for (const name of FIELDS) at(name).addEventListener("input", changed);
variant.addEventListener("change", changed);
network.addEventListener("change", () => {
  if (network.value) fill({ name: network.value, text: networks[network.value] });
  changed();
});
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
at("share").addEventListener("click", async () => {
  await save();
  await navigator.clipboard.writeText(location.href);
  status("The link is in the clipboard; it holds the whole network");
});
window.addEventListener("hashchange", restore);

async function opened(file) {
  if (/\.onnx$/i.test(file.name)) {
    show_problems([{ line: null, text: `${file.name}: ONNX files need the command line, cnnprof analyze ${file.name}: the`
      + " package onnx needs NumPy, which no package index has for browsers" }]);
  } else if (/\.(tflite|pt2)$/i.test(file.name)) {
    typed = performance.now();
    status(`Reading ${file.name}…`);
    ask({ file: { name: file.name, bytes: await file.arrayBuffer() } });
  } else {
    fill({ text: await file.text() });
    changed();
  }
}
at("file").addEventListener("change", () => at("file").files.length && opened(at("file").files[0]));
window.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
window.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
window.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length) opened(event.dataTransfer.files[0]);
});

function started(found) {
  networks = found;
  network.append(...Object.keys(networks).map((name) => new Option(name, name)));
  restore();
}
