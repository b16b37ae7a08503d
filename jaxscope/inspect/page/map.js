// The map: a treemap of the scope in focus, on a canvas. d3-hierarchy lays it out; only what is larger than a
// pixel is laid out further, drawn and found, so that tens of thousands of variables stay smooth.

const HEAD = 18,
  GAP = 3,
  SMALL = 1.2,
  CROWDED = 36, // square pixels for each variable
  DURATION = 260;
const FONT = '11px ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';

const map = {
  box: byId("map"),
  cells: byId("cells"),
  marks: byId("marks"),
  tip: byId("tip"),
  width: 0,
  height: 0,
  focus: null,
  nodes: [],
  letter: 6.6,
  moving: 0,
  searching: "",
  colourOf: () => [200, 200, 200],
  dimmed: () => false,
};

// Where there are too many variables for frames and names to leave them room, there are none.
const crowded = (node) => (node.x1 - node.x0) * (node.y1 - node.y0) < CROWDED * node.data.variables;
const headOf = (node) =>
  node.x1 - node.x0 > 46 && node.y1 - node.y0 > 34 && !crowded(node) ? HEAD : gapOf(node);
function gapOf(node) {
  if (!node.depth || (crowded(node) && node.depth > 2)) return 0;
  return Math.min(node.x1 - node.x0, node.y1 - node.y0) > 60 ? GAP : 1;
}

function layOut(focus) {
  const all = focus.bytes > 0 ? (node) => node.bytes : (node) => node.variables;
  const root = d3.hierarchy(focus, (node) => node.children);
  root.each((node) => {
    node.value = all(node.data);
  });
  root.sort((a, b) => b.value - a.value);
  d3
    .treemap()
    .size([map.width, map.height])
    .paddingInner((node) => (crowded(node) ? 0.5 : 1))
    .paddingOuter(gapOf)
    .paddingTop((node) => (node.depth ? headOf(node) : 0))(root);
  const found = [];
  (function collect(node) {
    const width = node.x1 - node.x0,
      height = node.y1 - node.y0;
    if (!(width > SMALL && height > SMALL)) return;
    const one = node.data;
    one.start = one.box ?? null;
    one.next = [node.x0, node.y0, width, height];
    one.head = one.row ? 0 : headOf(node);
    found.push(one);
    node.children?.forEach(collect);
  })(root);
  return found;
}

function focusOn(node, { still = false } = {}) {
  const before = map.nodes;
  const after = layOut(node);
  for (const one of before) one.box = null;
  for (const one of after) one.box = one.next;
  map.focus = node;
  map.nodes = after;
  cancelAnimationFrame(map.moving);
  hideTip();
  const calm = still || matchMedia("(prefers-reduced-motion: reduce)").matches || !before.length;
  if (calm) return drawAll();
  const began = performance.now();
  (function frame(now) {
    const part = Math.min((now - began) / DURATION, 1);
    drawAll(1 - (1 - Math.max(part, 0)) ** 3);
    if (part < 1) map.moving = requestAnimationFrame(frame);
  })(began);
}

function fitCanvas() {
  const { clientWidth: width, clientHeight: height } = map.box;
  if (!width || !height) return false;
  const scale = Math.min(devicePixelRatio || 1, 3);
  map.width = width;
  map.height = height;
  for (const canvas of [map.cells, map.marks]) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
  }
  return true;
}

function drawAll(part = 1) {
  const pen = map.cells.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const [ground, line, ink] = ["--panel", "--line", "--ink"].map((name) => style.getPropertyValue(name));
  pen.font = FONT;
  pen.textBaseline = "middle";
  map.letter = pen.measureText("m").width;
  pen.fillStyle = ground; // not cleared: while printing, that would erase what is drawn after it, too
  pen.fillRect(0, 0, map.width, map.height);
  for (const node of map.nodes) {
    const box = between(node.start, node.box, part);
    pen.globalAlpha = node.start || part === 1 ? 1 : part;
    if (node.row) drawVariable(pen, node, box);
    else if (node !== map.focus) drawScope(pen, node, box, { ground, line, ink });
  }
  pen.globalAlpha = 1;
  drawMarks();
}

const between = (a, b, part) => (a && part < 1 ? b.map((value, at) => a[at] + (value - a[at]) * part) : b);

function drawScope(pen, node, [x, y, width, height], { ground, line, ink }) {
  if (width < 5 || height < 5) return;
  pen.fillStyle = ground;
  pen.strokeStyle = line;
  pen.lineWidth = 1;
  pen.fillRect(x, y, width, height);
  if (width > 12 && height > 12) pen.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  if (node.head === HEAD) {
    pen.fillStyle = ink;
    pen.fillText(cut(node.name, width - 10), x + 5, y + HEAD / 2 + 1);
  }
}

function drawVariable(pen, node, [x, y, width, height]) {
  const shade = map.colourOf(node.row),
    dim = map.dimmed(node.row),
    alpha = pen.globalAlpha;
  if (dim) pen.globalAlpha = alpha * 0.16;
  pen.fillStyle = css(shade);
  pen.fillRect(x, y, width, height);
  if (width > 30 && height > 14 && !dim) {
    const sign = comparing && SIGNS[node.row.status] ? `${SIGNS[node.row.status]} ` : "";
    pen.fillStyle = inkOn(shade);
    pen.fillText(cut(sign + node.name, width - 8), x + 4, y + (height < 34 ? Math.min(height / 2, 10) : 11));
    if (height > 34 && width > 50) {
      pen.fillText(cut(node.row.here.type, width - 8), x + 4, y + 26);
    }
  }
  pen.globalAlpha = alpha;
}

function cut(text, width) {
  const most = Math.floor(width / map.letter),
    shown = plain(shownName(text.slice(0, 200)));
  return shown.length <= most ? shown : most < 3 ? "" : `${shown.slice(0, most - 1)}…`;
}

// What is under the pointer, and what is chosen, is outlined on a canvas above, so that cells need no redrawing.
function drawMarks() {
  const pen = map.marks.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  pen.clearRect(0, 0, map.width, map.height);
  const outline = (node, width, colour, dashes = []) => {
    pen.setLineDash(dashes);
    if (!node?.box || node === map.focus) return;
    const [x, y, w, h] = node.box,
      inset = Math.min(width / 2, w / 2, h / 2);
    pen.lineWidth = width;
    pen.strokeStyle = colour;
    pen.strokeRect(x + inset, y + inset, Math.max(w - 2 * inset, 1), Math.max(h - 2 * inset, 1));
  };
  outline(visible(map.chosen), 3, style.getPropertyValue("--ink"));
  // What it is perhaps renamed to, or from.
  for (const { row } of map.chosen?.row?.partners ?? [])
    outline(visible(row.node), 3, style.getPropertyValue("--ink"), [6, 4]);
  outline(map.under, 2, style.getPropertyValue("--ink"));
}

// The node itself, or the smallest scope around it that is drawn.
function visible(node) {
  while (node && !node.box) node = node.parent;
  return node;
}

function nodeAt(x, y) {
  const inside = ({ box }) => box && x >= box[0] && y >= box[1] && x < box[0] + box[2] && y < box[1] + box[3];
  let found = map.focus;
  for (let next = found; next;) {
    found = next;
    next = found.children?.find(inside);
  }
  return found;
}

function showTip(node, x, y) {
  const { tip, box } = map;
  tip.replaceChildren(element("b", {}, shownName(node.path)), tipText(node));
  tip.hidden = false;
  const left = x + 14 + tip.offsetWidth > box.clientWidth ? Math.max(x - tip.offsetWidth - 10, 0) : x + 14;
  const top = y + 16 + tip.offsetHeight > box.clientHeight ? Math.max(y - tip.offsetHeight - 10, 0) : y + 16;
  tip.style.transform = `translate(${left}px, ${top}px)`;
}

function tipText(node) {
  if (!node.row) return `${counted(node.variables, "variable")}, ${bytesText(node.bytes)}`;
  const { row } = node,
    words = [row.here.type, bytesText(row.here.bytes)];
  if (comparing) words.push(sideWord(row.status));
  if (row.here.nan) words.push(`${countText(row.here.nan)} NaN`);
  if (row.here.inf) words.push(`${countText(row.here.inf)} infinite`);
  return words.join(", ");
}

function hideTip() {
  map.tip.hidden = true;
  map.under = null;
}

function listenToMap({ choose, zoom }) {
  const place = (event) => {
    const box = map.cells.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  map.cells.addEventListener("pointermove", (event) => {
    const [x, y] = place(event),
      node = nodeAt(x, y);
    if (node === map.focus) hideTip();
    else {
      if (node !== map.under) map.cells.style.cursor = "pointer";
      map.under = node;
      showTip(node, x, y);
    }
    drawMarks();
  });
  map.cells.addEventListener("pointerleave", () => {
    hideTip();
    drawMarks();
  });
  map.cells.addEventListener("click", (event) => {
    const node = nodeAt(...place(event));
    if (node === map.focus) return;
    if (node.row) choose(node);
    else zoom(node);
  });
  // Into the scope below the one in focus that is under the pointer.
  map.cells.addEventListener("dblclick", (event) => {
    let node = nodeAt(...place(event));
    while (node !== map.focus && node.parent !== map.focus) node = node.parent;
    if (node !== map.focus && !node.row) zoom(node);
  });
}
