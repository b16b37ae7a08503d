// The details: all that the page knows of one variable or scope.

const LEVELS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
// Each character of a histogram stands for a count, in steps of a factor of the square root of two.
const countOf = (level) => (level ? Math.round(2 ** ((level - 1) / 2)) : 0);

function showDetails(node, { zoom, choose }) {
  byId("details").replaceChildren(...(node.row ? ofVariable(node, zoom, choose) : ofScope(node, choose)));
  byId("details").scrollTop = 0;
}

const fact = (word, ...values) => element("div", {}, element("dt", {}, word), element("dd", {}, ...values));
const facts = (...rows) => element("dl", { class: "facts" }, ...rows.filter(Boolean));
const titled = (word, ...parts) => [element("h3", {}, word), ...parts];
const link = (text, act) => element("button", { class: "link", type: "button", onclick: act }, text);

function ofScope(node, choose) {
  const rows = rowsIn(node);
  const parts = [
    element("h2", {}, node.parent ? shownName(node.path) : data.title),
    element("p", { class: "kind" }, node.parent ? "scope" : "all scopes"),
  ];
  if (comparing) parts.push(ofDifferences(rows), ...titled("Both", sumsTable(rows)));
  else parts.push(sumsOf(node, rows), ...numbersOf(rows));
  const largest = [...node.children]
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, 8)
    .filter((one) => one.bytes);
  if (largest.length > 1)
    parts.push(...titled(node.children.length > 8 ? "Largest" : "In it", shares(largest, choose)));
  if (comparing && !node.parent) parts.push(...ofRenames(choose));
  return parts;
}

function sumsOf(node, rows) {
  const kinds = byKind(rows, (row) => row.here.dtype ?? "no array").legend;
  const frozen = rows.filter((row) => row.here.trainable === false).length;
  return facts(
    fact("variables", countText(node.variables)),
    fact("elements", countText(node.elements)),
    fact("size", bytesText(node.bytes)),
    fact(
      kinds.length > 1 ? "dtypes" : "dtype",
      kinds
        .map(({ kind, count }) => (kinds.length > 1 ? `${kind} (${countText(count)})` : kind))
        .join(", ") || "none",
    ),
    frozen ? fact("not trainable", countText(frozen)) : null,
  );
}

function numbersOf(rows) {
  const numbers = together(rows.map((row) => row.here));
  return numbers ? titled("Numbers", numberTable([numbers])) : [];
}

function sumsTable(rows) {
  const sides = [0, 1].map((at) => rows.map((row) => row.sides[at]).filter(Boolean));
  const sum = (key) => (side) => side.reduce((total, one) => total + one[key], 0);
  const words = {
    variables: (side) => countText(side.length),
    elements: (side) => countText(sum("elements")(side)),
    size: (side) => bytesText(sum("bytes")(side)),
  };
  return twoColumns(words, sides, sides.map(together));
}

function shares(nodes, choose) {
  const most = nodes[0].bytes;
  return element(
    "ul",
    { class: "list" },
    ...nodes.map((one) => {
      const bar = element("i");
      bar.style.width = `${Math.max(1, (100 * one.bytes) / most)}%`;
      const head = link(shownName(one.name) + (one.row ? "" : "/"), () => choose(one));
      head.classList.add("code");
      return element("li", {}, head, ` ${bytesText(one.bytes)}`, element("span", { class: "share" }, bar));
    }),
  );
}

function ofDifferences(rows) {
  const counts = byKind(rows, (row) => row.status).legend;
  return facts(
    ...counts.map(({ kind, count }) =>
      fact(kind === "alike" ? "equal types" : sideWord(kind), countText(count)),
    ),
  );
}

function ofRenames(choose) {
  const { renames } = data.difference;
  if (!renames.length) return [];
  const items = renames.map(({ rule, why, pairs }) => {
    const [old, to] = pairs[0].map((at) => allRows[at]);
    return element(
      "li",
      {},
      element("span", { class: "code" }, rule),
      element(
        "small",
        {},
        `${counted(pairs.length, "variable")}, by ${why}; `,
        link(old.name, () => choose(old.node)),
        " is ",
        link(to.name, () => choose(to.node)),
      ),
    );
  });
  return titled("Perhaps renamed", element("ul", { class: "list" }, ...items));
}

function ofVariable(node, zoom, choose) {
  const { row } = node,
    { here } = row;
  const looked = row.sides.map(lookedAt);
  const parts = [
    element("h2", {}, shownName(row.name)),
    element(
      "p",
      { class: "kind" },
      "variable in ",
      link(node.parent.parent ? node.parent.path : "(root)", () => zoom(node.parent)),
    ),
  ];
  if (comparing) parts.push(...differenceOf(row));
  parts.push(
    facts(
      ...(comparing ? [] : typeFacts(here)),
      row.partitioner && row.partitioner !== here.sharding ? fact("partitioner", row.partitioner) : null,
      row.initializer ? fact("initializer", element("span", { class: "code" }, row.initializer)) : null,
      row.site ? fact("made at", place(row.site)) : null,
      here.note ? fact("note", here.note) : null,
    ),
  );
  if (comparing && row.partners.length) parts.push(...titled("Perhaps renamed", partnersOf(row, choose)));
  if (comparing) parts.push(...titled("Both", bothTable(row.sides, looked)));
  else if (looked[0]) parts.push(...titled("Numbers", numberTable(looked)));
  row.sides.forEach((side, at) => {
    if (side?.bars)
      parts.push(...titled(comparing ? `Histogram, ${"AB"[at]}` : "Histogram", histogram(side)));
  });
  if (data.values && !looked.some(Boolean))
    parts.push(element("p", { class: "kind" }, "It has no numbers to look at."));
  if (row.asked.length)
    parts.push(...titled(row.times > 1 ? `Asked for ${row.times} times` : "Asked for", requests(row)));
  return parts;
}

const typeFacts = ({ dtype, shape, elements, bytes, trainable, sharding }) => [
  fact("dtype", dtype ?? "none"),
  fact("shape", shape === null ? "no array" : shape.map(countText).join(" × ") || "scalar"),
  fact("elements", countText(elements)),
  fact("size", bytesText(bytes)),
  fact("trainable", trainableText(trainable)),
  sharding ? fact("sharding", sharding) : null,
];

const place = ([file, line, name]) =>
  element(
    "span",
    {},
    element("span", { class: "code" }, lineText(file, line)),
    ` in ${name}`,
    element("small", { class: "kind" }, ` ${file}`),
  );

function requests(row) {
  return element(
    "ul",
    { class: "list" },
    ...row.asked.map(([at, times, makes]) => {
      const [file, line, name, scope] = data.sharing.places[at];
      const words = [
        scope ? `in scope ${scope}` : "in the root",
        times > 1 ? `${times} times` : "",
        makes ? "makes it" : "",
      ];
      return element(
        "li",
        { title: file },
        element("span", { class: "code" }, lineText(file, line)),
        ` in ${name}`,
        element("small", {}, words.filter(Boolean).join(", ")),
      );
    }),
  );
}

function differenceOf(row) {
  const { elements, absolute, relative, note, old } = row.difference;
  const found = [
    element("p", {}, ...differenceWords(row).map((word) => element("span", { class: "badge" }, word))),
  ];
  found.push(
    facts(
      old ? fact("in A called", element("span", { class: "code" }, old)) : null,
      elements ? fact("differing", counted(elements, "element")) : null,
      elements ? fact("at most", `${numberText(absolute)} (${numberText(relative)} of the larger)`) : null,
      note ? fact("note", note) : null,
    ),
  );
  return found;
}

const partnersOf = (row, choose) =>
  element(
    "ul",
    { class: "list" },
    ...row.partners.map((one) =>
      element(
        "li",
        {},
        link(one.row.name, () => choose(one.row.node)),
        element("small", {}, `by ${one.why}: ${one.rule}`),
      ),
    ),
  );

const NUMBERS = ["norm", "min", "max", "mean", "nan", "inf"];
const NUMBER_WORDS = { nan: "NaN", inf: "infinite" };

function numberTable(sides) {
  const rows = NUMBERS.map((key) => {
    const cells = sides.map((one) => numberCell(one, key));
    return element("tr", {}, element("th", { scope: "row" }, NUMBER_WORDS[key] ?? key), ...cells);
  });
  return element("table", { class: "numbers" }, element("tbody", {}, ...rows));
}

function numberCell(one, key) {
  const value = one?.[key],
    bad = (key === "nan" || key === "inf") && value > 0;
  const text =
    value === undefined
      ? ""
      : key === "norm" && value === null
        ? "beyond float64"
        : key === "nan" || key === "inf"
          ? countText(value)
          : numberText(value);
  return element("td", bad ? { class: "loud" } : {}, text);
}

function bothTable(sides, looked) {
  const words = {
    dtype: (one) => one.dtype ?? "no array",
    shape: (one) => (one.shape === null ? "" : one.shape.join(" × ") || "scalar"),
    elements: (one) => countText(one.elements),
    size: (one) => bytesText(one.bytes),
    trainable: (one) => trainableText(one.trainable),
    ...(sides.some((one) => one?.sharding) && { sharding: (one) => one.sharding }),
  };
  return twoColumns(words, sides, looked);
}

function twoColumns(words, sides, numbers) {
  const head = element(
    "tr",
    {},
    element("td", {}),
    element("th", { scope: "col" }, "A"),
    element("th", { scope: "col" }, "B"),
  );
  const rows = Object.entries(words).map(([word, of], at) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, word),
      ...sides.map((one) => element("td", {}, one ? of(one) : at ? "" : "not there")),
    ),
  );
  const more = numbers.some(Boolean) ? [...numberTable(numbers).querySelectorAll("tr")] : [];
  return element(
    "table",
    { class: "numbers" },
    element("thead", {}, head),
    element("tbody", {}, ...rows, ...more),
  );
}

function histogram({ bars, min, max }) {
  if (min === max) return element("p", { class: "kind" }, `All that are finite are ${numberText(min)}.`);
  const levels = [...bars].map((one) => LEVELS.indexOf(one)),
    most = Math.max(...levels),
    width = 300 / levels.length;
  const counts = levels.map(countOf);
  const label = `Histogram from ${numberText(min)} to ${numberText(max)}: about ${counts.join(", ")} elements`;
  const svg = drawing("svg", {
    class: "histogram",
    viewBox: "0 0 300 74",
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": label,
  });
  svg.append(drawing("line", { x1: 0, y1: 73.5, x2: 300, y2: 73.5 }));
  levels.forEach((level, at) => {
    if (!level) return;
    const height = (70 * level) / most,
      low = min + ((max - min) * at) / levels.length;
    const title = drawing("title", {}, `about ${countText(counts[at])} from ${numberText(low)}`);
    svg.append(drawing("rect", { x: at * width + 0.5, y: 73 - height, width: width - 1, height }, title));
  });
  if (min < 0 && max > 0) {
    const x = (300 * -min) / (max - min);
    svg.append(drawing("line", { class: "zero", x1: x, y1: 0, x2: x, y2: 73 }));
  }
  return element(
    "div",
    {},
    svg,
    element(
      "div",
      { class: "ends" },
      element("span", {}, numberText(min)),
      element("span", {}, "counts by their logarithm"),
      element("span", {}, numberText(max)),
    ),
  );
}
