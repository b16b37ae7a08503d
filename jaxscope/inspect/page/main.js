// What happens: one state, and what people do to it.

const allRows = decodedRows();
const root = treeOf(allRows);
const scales = choices(allRows);
const state = { matches: null, at: -1, ownTheme: null };

function say(text) {
  byId("live").textContent = plain(text);
}

// --- zooming and choosing ------------------------------------------------------------------------------

function zoom(node, { still = false } = {}) {
  if (node.row) node = node.parent;
  showMap(true);
  lookAt(node, { still });
  choose(node, { quiet: true });
  say(
    `Zoomed to ${node.parent ? node.path : "all"}: ${counted(node.variables, "variable")}, ${bytesText(node.bytes)}`,
  );
}

function zoomOut() {
  const { focus } = map;
  if (!focus.parent) return;
  zoom(focus.parent);
}

function lookAt(node, { still = false } = {}) {
  focusOn(node, { still });
  showPath(node);
  describeMap();
}

function showPath(node) {
  const items = withAround(node).map((one) => {
    const word = one.parent ? shownName(one.name) : "all";
    if (one === node)
      return element("li", {}, element("span", { "aria-current": "location" }, word));
    return element(
      "li",
      {},
      element("button", { class: "link", type: "button", onclick: () => zoom(one) }, word),
    );
  });
  byId("path").replaceChildren(element("ol", {}, ...items));
}

function choose(node, { quiet = false } = {}) {
  map.chosen = node;
  showDetails(node, { zoom, choose });
  if (node.parent) {
    reveal(node);
    select(node);
  } else select(null);
  if (node.row) zoomAround(node);
  drawMarks();
  if (!quiet) say(`${shownName(node.path)}: ${tipText(node)}`);
}

// To the nearest scope around both what is in focus and a node.
function zoomAround(node) {
  const above = withAround(node);
  const around = withAround(map.focus).filter((one) => above.includes(one)).at(-1);
  if (around !== map.focus) lookAt(around);
}

function describeMap() {
  const { focus } = map,
    name = focus.parent ? focus.path : data.title;
  byId("cells").setAttribute(
    "aria-label",
    plain(
      `Map of ${name} by bytes: ${counted(focus.variables, "variable")}, ${bytesText(focus.bytes)}. The tree of scopes has the same.`,
    ),
  );
}

// --- colours and themes --------------------------------------------------------------------------------

function colourBy(word) {
  const [, made] = scales.find(([name]) => name === word);
  const scale = made();
  map.colourOf = scale.of;
  map.legend = scale;
  paint();
}

function paint() {
  showLegend(map.legend);
  paintTree();
  if (map.nodes.length) drawAll();
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").setAttribute("aria-pressed", String(dark));
  if (map.legend) paint();
}

// --- searching -----------------------------------------------------------------------------------------

// A regular expression as Python writes it, where JavaScript knows what it says; else the text itself.
function patternOf(text) {
  const written = text
    .replace(/\(\?P</g, "(?<")
    .replace(/\\Z/g, "$")
    .replace(/\\A/g, "^");
  const flags = text === text.toLowerCase() ? "i" : "";
  try {
    return { pattern: new RegExp(written, flags), literal: false };
  } catch {
    return { pattern: new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), flags), literal: true };
  }
}

function search(text) {
  const box = byId("search");
  byId("find").classList.toggle("active", Boolean(text));
  map.searching = text;
  state.at = -1;
  if (!text) {
    state.matches = null;
    map.dimmed = () => false;
    byId("matches").textContent = "";
    box.removeAttribute("aria-invalid");
    return paint();
  }
  const { pattern, literal } = patternOf(text);
  state.matches = allRows.filter((row) => pattern.test(row.name));
  const found = new Set(state.matches);
  map.dimmed = (row) => !found.has(row);
  box.setAttribute("aria-invalid", String(literal));
  const bytes = state.matches.reduce((sum, row) => sum + row.here.bytes, 0);
  const words = `${countText(found.size)} of ${countText(allRows.length)}`;
  byId("matches").textContent = words;
  say(
    `${words} match, ${bytesText(bytes)}${literal ? "; it is no regular expression, so it is searched as text" : ""}`,
  );
  paint();
}

function nextMatch(step) {
  const { matches } = state;
  if (!matches?.length) return;
  state.at = (state.at + step + matches.length) % matches.length;
  choose(matches[state.at].node);
  byId("matches").textContent = `${countText(state.at + 1)} of ${countText(matches.length)}`;
}

// --- views ---------------------------------------------------------------------------------------------

function showMap(shown) {
  const changes = byId("map").hidden === shown;
  for (const id of ["map", "legend", "path"]) byId(id).hidden = !shown;
  byId("graph").hidden = shown;
  byId("view-map").setAttribute("aria-pressed", String(shown));
  byId("view-sharing").setAttribute("aria-pressed", String(!shown));
  if (!changes) return;
  if (shown) resized();
  else showGraph(allRows, { choose: (node) => choose(node, { quiet: true }), say });
}

function resized() {
  if (matchMedia("print").matches) return; // what is drawn while a page is printed comes too late
  if (byId("map").hidden) return showGraph.draw?.();
  if (fitCanvas()) focusOn(map.focus, { still: true });
}

// --- beginning -----------------------------------------------------------------------------------------

function headText() {
  const words = [
    counted(allRows.length, "variable"),
    `${countText(root.elements)} elements`,
    bytesText(root.bytes),
  ];
  if (comparing) {
    words.unshift(`A is ${data.labels[0]}, B is ${data.labels[1]}`);
    words.push(data.values ? "" : "values not compared");
  } else {
    const bad = allRows.filter((row) => row.here.nan || row.here.inf).length;
    if (bad) words.push(`${counted(bad, "variable")} with NaN or infinite elements`);
  }
  return words.filter(Boolean).join(" · ");
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const typing = event.target.closest?.("input, select");
  if (event.key === "Escape") {
    if (event.target.id === "search" && event.target.value) {
      event.target.value = "";
      search("");
      event.preventDefault();
    } else zoomOut();
  } else if (typing) return;
  else if (event.key === "/") {
    event.preventDefault();
    byId("search").focus();
    byId("search").select();
  } else if (event.key === "?") byId("help").showModal();
}

function start() {
  byId("title").textContent = plain(data.title);
  byId("facts").textContent = plain(headText());
  byId("colour").append(...scales.map(([word]) => element("option", { value: word }, word)));
  byId("colour").addEventListener("change", (event) => {
    colourBy(event.target.value);
    say(`Coloured by ${event.target.value}`);
  });
  const night = matchMedia("(prefers-color-scheme: dark)");
  night.addEventListener("change", () => state.ownTheme ?? setTheme(night.matches));
  byId("theme").addEventListener("click", () => {
    state.ownTheme = !isDark();
    setTheme(state.ownTheme);
  });
  setTheme(night.matches);

  startTree(root, (node) => (node.row ? choose(node) : zoom(node)));
  listenToMap({ choose, zoom });
  let waiting = 0;
  byId("search").addEventListener("input", (event) => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => search(event.target.value)); // once for what is typed in one frame
  });
  byId("find").addEventListener("submit", (event) => event.preventDefault());
  byId("search").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    cancelAnimationFrame(waiting);
    if (event.target.value !== map.searching) search(event.target.value);
    nextMatch(event.shiftKey ? -1 : 1);
  });
  byId("views").hidden = !data.sharing;
  byId("view-map").addEventListener("click", () => showMap(true));
  byId("view-sharing").addEventListener("click", () => showMap(false));
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  document.addEventListener("keydown", onKey);

  map.focus = root;
  colourBy(scales[0][0]);
  fitCanvas();
  zoom(root, { still: true });
  say("");
  new ResizeObserver(resized).observe(byId("picture"));

  // Paper is white.
  addEventListener("beforeprint", () => setTheme(false));
  addEventListener("afterprint", () => setTheme(state.ownTheme ?? night.matches));
}

// For the console, and for tests.
globalThis.jaxscope = {
  data,
  rows: allRows,
  root,
  map,
  HEAD,
  zoom,
  search,
  colourBy,
  inkOn,
  drawAll,
  drawMarks,
  nodeAt,
  showTip,
};

start();
