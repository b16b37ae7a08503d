// The data: columns, as Python wrote them. Here they become rows, one for each variable, and these a tree.
// A name is text, whatever is in it: it goes into the page by `textContent` alone, and into Maps, not objects.

const data = JSON.parse(document.getElementById("data").textContent);
const comparing = data.sides.length === 2;

// Values of which many are equal: each once in `of`, and which of them is where in `at`.
const column =
  ({ of, at }) =>
  (row) =>
    of[at === 0 ? 0 : at[row]];

function decodedNames({ same, rest }) {
  let before = [];
  return rest.map((text, row) => {
    const parts = text.split("/");
    before = same[row] ? before.slice(0, same[row]).concat(parts) : parts;
    return before;
  });
}

// What one side knows of each variable; null where it does not have it.
function sideOf(side) {
  const [type, there, trainable, sharding, note] = ["type", "there", "trainable", "sharding", "note"].map(
    (key) => column(side[key]),
  );
  const numbers = side.statistics;
  const [nan, inf] = numbers ? [column(numbers.nan), column(numbers.inf)] : [];
  return (row) => {
    if (!there(row)) return null;
    const [dtype, shape, elements, bytes] = type(row);
    const found = {
      dtype,
      shape,
      elements,
      bytes,
      trainable: trainable(row),
      sharding: sharding(row),
      note: note(row),
      type: shape === null ? "no array" : `${dtype}[${shape.join(",")}]`,
    };
    if (numbers && nan(row) !== null)
      Object.assign(found, {
        norm: numbers.norm[row],
        min: numbers.min[row],
        max: numbers.max[row],
        mean: numbers.mean[row],
        nan: nan(row),
        inf: inf(row),
        bars: numbers.bars[row],
      });
    return found;
  };
}

// The first kind of difference that a variable has gives it its colour.
const KINDS = ["only in a", "only in b", "shape", "dtype", "trainable", "values", "not compared"];

function differences(rows) {
  const found = data.difference;
  const columns = ["kinds", "compared", "elements", "absolute", "relative", "note", "old"].map((key) => [
    key,
    column(found[key]),
  ]);
  for (const row of rows) {
    row.difference = Object.fromEntries(columns.map(([key, at]) => [key, at(row.at)]));
    row.status =
      KINDS.find((kind) => row.difference.kinds.includes(kind)) ??
      (row.difference.compared ? "equal" : "alike");
    row.partners = [];
  }
  for (const { pairs, rule, why } of found.renames)
    for (const [old, to] of pairs) {
      rows[old].partners.push({ row: rows[to], rule, why });
      rows[to].partners.push({ row: rows[old], rule, why });
    }
}

function decodedRows() {
  const sides = data.sides.map(sideOf);
  const known = ["initializer", "partitioner", "site"]
    .filter((key) => data[key])
    .map((key) => [key, column(data[key])]);
  const rows = decodedNames(data.names).map((parts, at) => {
    const row = { at, parts, name: parts.join("/"), sides: sides.map((side) => side(at)) };
    row.here = row.sides.at(-1) ?? row.sides[0];
    for (const [key, of] of known) row[key] = of(at);
    row.asked = data.sharing ? data.sharing.asked[at] : [];
    row.times = row.asked.reduce((sum, [, times]) => sum + times, 0);
    return row;
  });
  if (comparing) differences(rows);
  return rows;
}

// A node is a scope (with children), or a variable (with a row). One name may be both: then there are two nodes.
function treeOf(rows) {
  const DEEP = 64; // what is below is one name: nobody nests so deep, but files may have any names
  const root = { name: "", path: "", parent: null, children: [], level: 0, scopes: new Map() };
  for (const row of rows) {
    let node = root;
    const above = row.parts.slice(0, -1).slice(0, DEEP);
    for (const part of above) {
      let next = node.scopes.get(part);
      if (!next) {
        const path = node === root ? part : `${node.path}/${part}`;
        next = { name: part, path, parent: node, children: [], level: node.level + 1, scopes: new Map() };
        node.scopes.set(part, next);
        node.children.push(next);
      }
      node = next;
    }
    row.node = {
      name: row.parts.slice(above.length).join("/"),
      path: row.name,
      parent: node,
      level: node.level + 1,
      row,
    };
    node.children.push(row.node);
  }
  added(root);
  return root;
}

// Sums by scope: how many variables, elements, bytes.
function added(node) {
  if (node.row) {
    const { elements, bytes } = node.row.here;
    Object.assign(node, { variables: 1, elements, bytes });
    return;
  }
  Object.assign(node, { variables: 0, elements: 0, bytes: 0 });
  for (const child of node.children) {
    added(child);
    node.variables += child.variables;
    node.elements += child.elements;
    node.bytes += child.bytes;
  }
}

// A node and the scopes around it, outermost first.
function withAround(node) {
  const found = [];
  for (let one = node; one; one = one.parent) found.unshift(one);
  return found;
}

function rowsIn(node, found = []) {
  if (node.row) found.push(node.row);
  else for (const child of node.children) rowsIn(child, found);
  return found;
}

// A side, if there are statistics of it.
const lookedAt = (side) => (side?.nan === undefined ? null : side);

function together(sides) {
  const sets = sides.filter(lookedAt);
  if (!sets.length) return null;
  const numbers = (key) => sets.map((one) => one[key]).filter((value) => value !== null);
  const extreme = (key, choose) => numbers(key).reduce((a, b) => (a === null ? b : choose(a, b)), null);
  const sum = (key) => sets.reduce((total, one) => total + one[key], 0);
  const finite = sets.map((one) => one.elements - one.nan - one.inf);
  const count = finite.reduce((a, b) => a + b, 0);
  const tooLarge = sets.some((one) => one.norm === null);
  return {
    norm: tooLarge ? null : Math.sqrt(numbers("norm").reduce((total, value) => total + value * value, 0)),
    min: extreme("min", Math.min),
    max: extreme("max", Math.max),
    mean: count ? sets.reduce((total, one, at) => total + (one.mean ?? 0) * finite[at], 0) / count : null,
    nan: sum("nan"),
    inf: sum("inf"),
  };
}

// --- words --------------------------------------------------------------------------------------------

function bytesText(count) {
  let size = count;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (size < 1024) return unit === "B" ? `${size} B` : `${size.toFixed(1)} ${unit}`;
    size /= 1024;
  }
  return `${size.toFixed(1)} TiB`;
}
const countText = (count) => count.toLocaleString("en");
const counted = (count, word) => `${countText(count)} ${word}${count === 1 ? "" : "s"}`;
function numberText(value) {
  if (value === null || value === undefined) return "none";
  if (typeof value === "string") return value;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6))
    return value
      .toExponential(3)
      .replace(/\.?0+e/, "e")
      .replace("-", "\u2212");
  return String(Number(value.toPrecision(4))).replace("-", "\u2212");
}
const shownName = (name) => (name === "" ? "(no name)" : name);
const lineText = (file, line) => `${file.split(/[\\/]/).at(-1)}:${line}`;
const trainableText = (value) => (value === null ? "unknown" : value ? "yes" : "no");
// A name without what turns or hides text: the other direction, and characters that nobody sees.
const plain = (text) =>
  text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

// --- elements -----------------------------------------------------------------------------------------

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.map((child) => (typeof child === "string" ? plain(child) : child)));
  return made;
}
function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
const byId = (id) => document.getElementById(id);
