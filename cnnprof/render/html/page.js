"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
// A text without characters that steer how it is shown, as the tables have it.
const printable = (text) => String(text).replace(/[\p{C}\p{Z}]/gu, (each) => " \n\u00a0".includes(each) ? each : `\\x${each.codePointAt(0).toString(16).padStart(2, "0")}`);
const element = (name, text = "", className = "") => {
  const made = document.createElement(name);
  made.textContent = printable(text);
  if (className) made.className = className;
  return made;
};
// A text in which what is between backticks is code.
const prose = (name, text, className) => {
  const made = element(name, "", className);
  made.append(...text.split("`").map((piece, n) => (n % 2 ? element("code", piece) : printable(piece))));
  return made;
};
// A path that is broken after its dots, where it has to be.
const pathElement = (path) => {
  const made = element("h3", "", "path");
  path.split(/(?<=\.)/).forEach((piece, n) => made.append(...(n ? [document.createElement("wbr")] : []), printable(piece)));
  return made;
};
const svgElement = (name, attributes, text = "") => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};

// Figures, as the tables have them.

const scaled = (number, base, units) => {
  if (number < base) return `${number} ${units[0]}`.trim();
  let scale = base, unit = 1;
  while (number * 2 >= (2 * base - 1) * scale && unit < units.length - 1) { scale *= base; unit += 1; }
  const value = number / scale, digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  let rounded = Number(value.toFixed(digits));
  const halves = value * 2 ** (digits + 1), even = Math.floor(value * 10 ** digits);
  if (Number.isInteger(halves) && halves % 2 && even % 2 === 0) rounded = even / 10 ** digits;  // halves go to the even
  return `${rounded.toLocaleString("en", {minimumFractionDigits: digits, maximumFractionDigits: digits})} ${units[unit]}`;
};
const count = (value) => scaled(value, 1000, ["", "K", "M", "G", "T", "P", "E"]);
const size = (value) => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]);
const shown = (name, value) => name.endsWith("bytes") ? size(value) : count(value);
const step = (share) => data.bounds.filter((bound) => bound ? share >= bound : share > 0).length;

// One layer, wherever it is drawn.

const layerOf = (key) => {
  const [net, tensor] = key.split(".");
  const known = data[net];
  if (!known || tensor.includes("-")) return null;
  const number = Number(tensor) - Object.keys(known.report.inputs).length;
  return number < 0 ? null : {report: known.report.layers[number], explained: known.explained, number};
};

// What corresponds to a layer in the other of two networks.
const partners = new Map((data.pairs || []).flatMap(([one, other]) => [[one, other], [other, one]]));

function choose(key, from) {
  all(".chosen").forEach((each) => each.classList.remove("chosen"));
  const node = byId(`n${key}`) || byId(`b${key}`), row = byId(`l${key}`);
  all(`[data-t="${key}"]`).forEach((each) => each.classList.add("chosen"));
  for (const each of [node, row]) if (each) each.classList.add("chosen");
  const partner = partners.get(key), other = partner && byId(`n${partner}`);
  if (other) {
    other.classList.add("chosen");
    for (let box = other.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    explain(partner, other.closest(".network"));
    within(other.closest(".canvas"), other);
    const told = byId(`l${partner}`);
    if (told) told.classList.add("chosen");
  }
  for (let box = node && node.parentElement.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  explain(key, node && node.closest(".network"));
  if (row && from !== "table") within(row.closest(".scroll"), row);
  if (!node || from === "graph") return;
  const canvas = node.closest(".canvas");
  canvas.scrollIntoView({block: "nearest"});
  within(canvas, node);
  if (from === "table") node.focus({preventScroll: true});
}

// Scrolls a frame, and not the page, until an element is in it.
function within(frame, inner) {
  const outer = frame.getBoundingClientRect(), rect = inner.getBoundingClientRect();
  frame.scrollTop += rect.top + rect.height / 2 - outer.top - outer.height / 2;
  frame.scrollLeft += rect.left + rect.width / 2 - outer.left - outer.width / 2;
}

const rests = new Map();  // what a panel shows where no layer is chosen

function explain(key, figure) {
  const panel = figure && figure.querySelector(".panel"), layer = layerOf(key);
  if (!panel) return;
  if (!rests.has(panel)) rests.set(panel, [...panel.childNodes]);
  if (!layer) return;
  const {report, explained, number} = layer;
  const close = element("button", "Close");
  close.type = "button";
  close.addEventListener("click", () => panel.replaceChildren(...rests.get(panel)));
  const shapes = report.input_shapes.map((shape) => shape.slice(1).join("\u00d7")).join(", ");
  const parts = [close, pathElement(report.path), element("p", `${report.kind} \u00b7 ${shapes || "no input"} \u2192 ${report.output_shape.slice(1).join("\u00d7")}`)];
  const fields = Object.entries(report.config).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  if (fields.length) parts.push(element("p", fields.join(", "), "rule"));
  if (report.line) parts.push(element("p", `line ${report.line} of ${report.file}`, "rule"));
  const page = explained.layers[number];
  if (page) {
    parts.push(prose("p", page[0]));
    for (const [title, rule, formulas, facts] of page[1].map((each) => explained.sections[each])) {
      parts.push(element("h4", title));
      if (rule) parts.push(prose("p", rule, "rule"));
      for (const [label, formula, value, names] of formulas) {
        const line = element("p", `${label} = ${formula ? formula + (value.startsWith("\u2248") ? " " : " = ") : ""}`, "formula");
        line.append(element("strong", value));
        if (names) line.append(element("div", names, "names"));
        parts.push(line);
      }
      if (facts.length) {
        const list = element("ul");
        list.append(...facts.map((fact) => prose("li", fact)));
        parts.push(list);
      }
    }
  } else {
    for (const name of ["params", "macs", "flops", "activation_bytes"]) parts.push(element("p", `${name} = ${report[name].toLocaleString("en")}`, "formula"));
  }
  panel.replaceChildren(...parts);
  panel.scrollTop = 0;
}

// The graph.

function color(figure, name) {
  const known = data[figure.dataset.net], first = Object.keys(known.report.inputs).length, total = known.total[name] || 1;
  const amounts = known.report.layers.map((layer) => layer[name]);
  const paint = (each, amount) => {
    each.classList.forEach((other) => { if (/^s\d$/.test(other)) each.classList.remove(other); });
    each.classList.add(`s${step(amount / total)}`);
    const said = each.querySelector(":scope > small");
    if (said) said.textContent = amount ? shown(name, amount) : "";
  };
  for (const node of all("a.node:not(.input)", figure)) paint(node, amounts[node.id.split(".")[1] - first]);
  for (const box of all("details.box", figure)) {
    const [start, stop] = box.id.split(".")[1].split("-").map((tensor) => tensor - first);
    paint(box.firstElementChild, amounts.slice(start, stop).reduce((sum, each) => sum + each, 0));
  }
}

// Lines to what reads a tensor from further above, next to the column.
function lines(figure) {
  const scene = figure.querySelector(".scene"), readers = all("[data-from]", scene);
  all(".over-lines", scene).forEach((each) => each.remove());
  if (!readers.length) return;
  const over = svgElement("svg", {class: "over-lines", "aria-hidden": "true"});
  const zoom = Number(figure.dataset.zoom || 1), base = scene.getBoundingClientRect();
  const seen = (each) => { while (each && !each.getClientRects().length) each = each.parentElement.closest("details"); return each; };
  const drawn = new Set();
  for (const reader of readers) {
    const to = seen(reader);
    for (const tensor of reader.dataset.from.split(" ")) {
      const from = seen(byId(`n${figure.dataset.net}.${tensor}`));
      if (!from || !to || from === to || from.contains(to) || drawn.has(`${from.id} ${to.id}`)) continue;
      drawn.add(`${from.id} ${to.id}`);
      const a = from.getBoundingClientRect(), b = to.getBoundingClientRect();
      const x = (Math.max(a.right, b.right) - base.left) / zoom, y = (a.bottom - 8 - base.top) / zoom, end = (b.top + 8 - base.top) / zoom;
      const out = x + 14 + Math.min(60, Math.abs(end - y) / 8);
      over.append(svgElement("path", {d: `M${(a.right - base.left) / zoom} ${y}C${out} ${y} ${out} ${end} ${(b.right - base.left) / zoom} ${end}`}));
    }
  }
  scene.append(over);
}

function zoom(figure, factor) {
  const now = Math.min(3, Math.max(0.2, (Number(figure.dataset.zoom) || 1) * factor));
  figure.dataset.zoom = now;
  figure.querySelector(".scene").style.zoom = now;
  lines(figure);
}

function find(figure, text) {
  const wanted = text.trim().toLowerCase(), net = figure.dataset.net, rows = all(`tr[id^="l${net}."]`);
  let found = 0;
  const hits = [];
  for (const row of rows) {
    const hit = row.textContent.toLowerCase().includes(wanted), node = byId(row.id.replace("l", "n"));
    row.hidden = !hit;
    found += hit;
    if (node) node.classList.toggle("miss", !hit);
    if (hit && node) hits.push(node);
  }
  if (wanted && hits.length <= 60) for (const node of hits) for (let box = node.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  byId(`found${net}`).textContent = wanted ? `${found} of ${rows.length} rows` : "";
  if (wanted && hits.length) within(figure.querySelector(".canvas"), hits[0]);
  lines(figure);
}

function drag(canvas) {
  let from = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || event.pointerType === "touch" || event.target.closest("a, summary")) return;
    from = [event.clientX + canvas.scrollLeft, event.clientY + canvas.scrollTop];
    canvas.classList.add("drags");
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from) canvas.scrollTo(from[0] - event.clientX, from[1] - event.clientY);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { from = null; canvas.classList.remove("drags"); });
}

// Files.

function save(name, type, text) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// The graph as it is seen: every element that the browser laid out as a shape of the same size.
function drawing(figure) {
  const scene = figure.querySelector(".scene"), base = scene.getBoundingClientRect(), factor = Number(figure.dataset.zoom || 1);
  const at = (rect) => ({x: (rect.left - base.left) / factor, y: (rect.top - base.top) / factor, width: rect.width / factor, height: rect.height / factor});
  const width = scene.scrollWidth, height = scene.scrollHeight;
  const made = svgElement("svg", {xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "system-ui, sans-serif"});
  made.append(svgElement("rect", {width, height, fill: getComputedStyle(document.body).backgroundColor}));
  const line = (x1, y1, x2, y2, stroke) => made.append(svgElement("path", {d: `M${x1} ${y1}L${x2} ${y2}`, stroke, "stroke-width": 1.5, fill: "none"}));
  const visible = (each) => each.getClientRects().length > 0;
  for (const each of all(".box, .node, summary", scene).filter(visible)) {
    const style = getComputedStyle(each), rect = at(each.getBoundingClientRect());
    made.append(svgElement("rect", {...rect, rx: parseFloat(style.borderRadius) || 0, fill: style.backgroundColor, stroke: style.borderTopColor}));
  }
  for (const each of all(".edge, .stem:not(.none)", scene).filter(visible)) {
    const rect = at(each.getBoundingClientRect()), x = rect.x + rect.width / 2;
    line(x, rect.y, x, rect.y + rect.height, getComputedStyle(each).color);
  }
  for (const branch of all(".branch", scene).filter(visible)) {
    const rect = at(branch.getBoundingClientRect()), middle = rect.x + rect.width / 2, stroke = getComputedStyle(scene).color;
    for (const [name, x, y] of [["tl", rect.x, rect.y], ["tr", rect.x + rect.width, rect.y], ["bl", rect.x, rect.y + rect.height], ["br", rect.x + rect.width, rect.y + rect.height]])
      if (branch.classList.contains(name)) line(x, y, middle, y, stroke);
  }
  for (const path of all(".over-lines path", scene)) made.append(svgElement("path", {d: path.getAttribute("d"), fill: "none", stroke: getComputedStyle(path).stroke, "stroke-dasharray": "5 3"}));
  const walker = document.createTreeWalker(scene, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(text);
    if (!text.textContent.trim() || !range.getClientRects().length) continue;
    const style = getComputedStyle(text.parentElement), rect = at(range.getBoundingClientRect());
    made.append(svgElement("text", {x: rect.x, y: rect.y + rect.height * 0.78, fill: style.color, "font-size": style.fontSize, "font-weight": style.fontWeight}, text.textContent));
  }
  return new XMLSerializer().serializeToString(made);
}

// Tables.

function sortable(table) {
  const body = table.tBodies[0], order = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    if (cell.tagName !== "TH") return;
    const button = element("button", cell.textContent);
    button.type = "button";
    cell.replaceChildren(button);
    button.addEventListener("click", () => {
      const before = cell.getAttribute("aria-sort"), numeric = order.some((row) => row.cells[column].dataset.v !== undefined);
      const [first, second] = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
      const now = before === first ? second : before === second ? null : first;
      all("[aria-sort]", table).forEach((each) => each.removeAttribute("aria-sort"));
      if (now) cell.setAttribute("aria-sort", now);
      const sign = now === "descending" ? -1 : 1;
      const value = (row) => numeric ? Number(row.cells[column].dataset.v ?? -Infinity) : row.cells[column].textContent;
      const compare = (a, b) => { const [x, y] = [value(a), value(b)]; return x < y ? -sign : x > y ? sign : 0; };
      body.append(...(now ? [...order].sort(compare) : order));
    });
  });
}

// Memory.

function moment(figure, position) {
  const net = figure.dataset.net, known = data[`${net}.memory`], report = data[net].report, inputs = Object.keys(report.inputs);
  const name = (tensor) => tensor < inputs.length ? inputs[tensor] : report.layers[tensor - inputs.length].path;
  const there = known.storages.filter(([, , first, last]) => first <= position && position <= last).sort((a, b) => b[1] - a[1]);
  const said = figure.querySelector(".moment-of"), layer = report.layers[known.layers[position]];
  said.replaceChildren("Alive after ", element("b", layer.path), `, ${size(known.alive[position])}:`);
  const most = Math.max(1, ...there.map((each) => each[1]));
  figure.querySelector("tbody").replaceChildren(...there.map(([tensor, bytes]) => {
    const row = element("tr"), head = element("td", name(tensor)), cell = element("td", size(bytes), "right"), bar = element("td", "", "bar");
    const drawn = svgElement("svg", {width: 64, height: 8, "aria-hidden": "true"});
    drawn.append(svgElement("rect", {width: 64 * bytes / most, height: 8}));
    cell.dataset.v = bytes;
    bar.append(drawn);
    row.append(head, cell, bar);
    return row;
  }));
  all(".moment.at", figure).forEach((each) => each.classList.remove("at"));
  const bar = figure.querySelector(`[data-p="${position}"]`);
  if (bar && String(position) !== figure.dataset.peak) bar.classList.add("at");
  const slider = figure.querySelector("input");
  slider.value = position;
  slider.setAttribute("aria-valuetext", `${layer.path}, ${size(known.alive[position])}`);
}

// What is clicked.

for (const tools of all(".tools")) tools.hidden = false;
for (const figure of all("figure.network")) {
  const does = (name, event, act) => all(`[data-does="${name}"]`, figure).forEach((each) => each.addEventListener(event, () => act(each)));
  does("color", "change", (each) => { color(figure, each.value); all(".of", figure).forEach((of) => { of.textContent = each.selectedOptions[0].textContent; }); });
  does("find", "input", (each) => find(figure, each.value));
  does("open", "click", () => { all("details", figure).forEach((each) => { each.open = true; }); lines(figure); });
  does("close", "click", () => { all("details", figure).forEach((each) => { each.open = false; }); lines(figure); });
  does("smaller", "click", () => zoom(figure, 1 / 1.25));
  does("larger", "click", () => zoom(figure, 1.25));
  const {report} = data[figure.dataset.net];
  const file = report.variant ? `${report.name}-${report.variant}` : report.name;
  does("svg", "click", () => save(`${file}.svg`, "image/svg+xml", drawing(figure)));
  does("json", "click", () => save(`${file}.json`, "application/json", `${JSON.stringify(report, null, 1)}\n`));
  const canvas = figure.querySelector(".canvas");
  drag(canvas);
  canvas.scrollLeft = (canvas.scrollWidth - canvas.clientWidth) / 2;
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(figure, event.deltaY < 0 ? 1.1 : 1 / 1.1);
  }, {passive: false});
  canvas.addEventListener("keydown", (event) => {
    if (event.target === canvas && "+-".includes(event.key)) zoom(figure, event.key === "+" ? 1.25 : 1 / 1.25);
  });
  // What is opened stays where it is on the screen.
  let held = null;
  canvas.addEventListener("click", (event) => {
    const summary = event.target.closest("summary");
    held = summary && [summary, summary.getBoundingClientRect()];
  }, true);
  figure.addEventListener("toggle", (event) => {
    if (held && held[0].parentElement === event.target) {
      const [summary, before] = held, now = summary.getBoundingClientRect();
      canvas.scrollLeft += now.left + now.width / 2 - before.left - before.width / 2;
      canvas.scrollTop += now.top - before.top;
    }
    held = null;
    lines(figure);
  }, true);
  lines(figure);
}
addEventListener("resize", () => all("figure.network").forEach(lines));
all("table").filter((table) => table.tHead && table.rows.length > 3).forEach(sortable);
for (const figure of all("figure.memory")) {
  all(".moment", figure).forEach((each) => each.addEventListener("click", () => moment(figure, Number(each.dataset.p))));
  figure.querySelector("input").addEventListener("input", (event) => moment(figure, Number(event.target.value)));
}
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#n"], a[href^="#l"]'), part = event.target.closest("[data-t]");
  if (link) {
    event.preventDefault();
    choose(link.hash.slice(2), link.closest("figure") && link.hash[1] === "l" ? "graph" : link.closest("table") ? "table" : "panel");
  } else if (part) choose(part.dataset.t, "picture");
});
if (/^#[nl]\d/.test(location.hash)) choose(decodeURIComponent(location.hash).slice(2), "link");
})();
