// Colours by what is asked for. Kinds have those of Paul Tol's light scheme, a little paler: they are made for
// grounds of text, and for people who see few colours. Numbers go from one end to the other, or both ways from
// nothing. No cell tells by its colour alone what its tooltip, its row in the tree and its details do not tell
// in words.

const TOL = ["#9cc3e4", "#f2a78f", "#efe0a0", "#7fcdb5", "#f8c0cb", "#b9e4f6", "#cfd97c", "#c0bd55"];
const STATUS = {
  equal: "#dadddb",
  alike: "#d3dce3",
  values: "#9cc3e4",
  shape: "#f2a78f",
  dtype: "#7fcdb5",
  trainable: "#cbbbe3",
  "only in a": "#f8c0cb",
  "only in b": "#d6d97a",
  "not compared": "#b9bdc0",
};
const SIGNS = {
  equal: "",
  alike: "",
  values: "≠",
  shape: "≠",
  dtype: "≠",
  trainable: "≠",
  "only in a": "A",
  "only in b": "B",
  "not compared": "?",
};
const WORDS = {
  alike: "types equal, values not compared",
  values: "values differ",
  shape: "shape differs",
  dtype: "dtype differs",
  trainable: "trainable differs",
  "only in a": "only in A",
  "only in b": "only in B",
};
const NOTHING = "#c9cccb",
  LOUD = "#e0702c";
// Numbers by day and by night: what is small, or nothing, is near the ground.
const STEPS = [
  ["#f0eed8", "#cfe3cb", "#9dcec9", "#69a9c6", "#4680b2", "#325b94"],
  ["#263039", "#2b4d63", "#37748e", "#5a9fa9", "#98c8b4", "#e6eacb"],
];
const BOTH = [
  ["#b25a16", "#e3ad7a", "#efece5", "#93bfd8", "#2b6c9b"],
  ["#f0a05a", "#93603a", "#343a40", "#3a6c8c", "#7cc2ee"],
];

const parsed = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const mixed = (a, b, part) => a.map((value, at) => Math.round(value + (b[at] - value) * part));
const css = (rgb) => `rgb(${rgb.join(" ")})`;
function along(stops, part) {
  const at = Math.min(Math.max(part, 0), 1) * (stops.length - 1),
    low = Math.min(Math.floor(at), stops.length - 2);
  return mixed(parsed(stops[low]), parsed(stops[low + 1]), at - low);
}
// Text that is read on a ground: black or white, whichever differs more; that is always enough (4.5 to 1).
function inkOn(rgb) {
  const [r, g, b] = rgb.map((value) =>
    (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

const isDark = () => document.documentElement.dataset.theme === "dark";
// At night kinds have the same colours, with less light.
const kindColour = (hex) => (isDark() ? mixed(parsed(hex), [20, 23, 26], 0.28) : parsed(hex));
const steps = (part) => along(STEPS[Number(isDark())], part);
const both = (part) => along(BOTH[Number(isDark())], part);

function byKind(rows, of, colours = null) {
  const counts = new Map();
  for (const row of rows) counts.set(of(row), (counts.get(of(row)) ?? 0) + 1);
  const kinds = [...counts].sort((a, b) => b[1] - a[1]);
  const chosen = new Map(kinds.map(([kind], at) => [kind, colours?.[kind] ?? TOL[at] ?? NOTHING]));
  const legend = kinds
    .slice(0, TOL.length)
    .map(([kind, count]) => ({ kind, count, colour: chosen.get(kind) }));
  const others = kinds.slice(TOL.length).reduce((sum, [, count]) => sum + count, 0);
  if (others) legend.push({ kind: "others", count: others, colour: NOTHING });
  return { of: (row) => kindColour(chosen.get(of(row))), legend };
}

const quantile = (sorted, part) => sorted[Math.round((sorted.length - 1) * part)];

// Sizes go by their logarithm, where they are far from each other.
function bySize(rows, of, words = numberText) {
  const values = rows
    .map(of)
    .filter((value) => value !== null && value !== undefined && value > 0)
    .sort((a, b) => a - b);
  if (!values.length) return byKind(rows, (row) => (of(row) === 0 ? "0" : "not known"));
  const low = quantile(values, 0.01),
    high = quantile(values, 0.99);
  const bent = high > 20 * low ? Math.log : (value) => value;
  const part = (value) => (high > low ? (bent(value) - bent(low)) / (bent(high) - bent(low)) : 0.4);
  const colour = (row) => {
    const value = of(row);
    if (value === null || value === undefined) return kindColour(NOTHING);
    return steps(value > 0 ? part(value) : 0);
  };
  return { of: colour, strip: steps, low: words(low), high: words(high) };
}

function bySign(rows, of) {
  const sizes = rows
    .map(of)
    .filter((value) => value !== null && value !== undefined)
    .map(Math.abs)
    .sort((a, b) => a - b);
  const most = sizes.length ? quantile(sizes, 0.98) || sizes.at(-1) || 1 : 1;
  const colour = (row) => {
    const value = of(row);
    return value === null || value === undefined ? kindColour(NOTHING) : both(0.5 + value / most / 2);
  };
  return { of: colour, strip: both, low: numberText(-most), high: numberText(most), middle: "0" };
}

const byBad = (rows, of) =>
  byKind(rows, (row) => (of(row) === undefined ? "not known" : of(row) ? "some" : "none"), {
    none: "#cfdde4",
    some: LOUD,
    "not known": NOTHING,
  });

// What can be asked for: only what the page knows of.
function choices(rows) {
  const looked = rows.some((row) => row.here.nan !== undefined);
  const any = (of) => rows.some(of);
  return [
    comparing && ["difference", () => ({ ...byKind(rows, (row) => row.status, STATUS), status: true })],
    ["dtype", () => byKind(rows, (row) => row.here.dtype ?? "no array")],
    any((row) => row.here.trainable !== null) && [
      "trainable",
      () =>
        byKind(rows, (row) => trainableText(row.here.trainable), {
          yes: TOL[0],
          no: TOL[1],
          unknown: NOTHING,
        }),
    ],
    any((row) => row.here.sharding || row.partitioner) && [
      "sharding",
      () => byKind(rows, (row) => row.here.sharding || row.partitioner || "none given"),
    ],
    any((row) => row.initializer) && [
      "initializer",
      () => byKind(rows, (row) => row.initializer || "not known"),
    ],
    any((row) => row.asked.length) && ["times asked for", () => byKind(rows, (row) => `${row.times}`)],
    ["bytes", () => bySize(rows, (row) => row.here.bytes, bytesText)],
    looked && ["norm", () => bySize(rows, (row) => row.here.norm)],
    looked && [
      "root mean square",
      () =>
        bySize(rows, (row) =>
          row.here.norm == null ? null : row.here.norm / Math.sqrt(row.here.elements || 1),
        ),
    ],
    looked && ["min", () => bySign(rows, (row) => row.here.min)],
    looked && ["max", () => bySign(rows, (row) => row.here.max)],
    looked && ["mean", () => bySign(rows, (row) => row.here.mean)],
    looked && ["NaN", () => byBad(rows, (row) => row.here.nan)],
    looked && ["Inf", () => byBad(rows, (row) => row.here.inf)],
    comparing &&
      any((row) => row.difference.relative !== null) && [
        "relative difference",
        () =>
          bySize(rows, (row) =>
            row.difference.relative === "infinite" ? Infinity : row.difference.relative,
          ),
      ],
  ].filter(Boolean);
}

function showLegend(scale) {
  const swatch = (colour) => {
    const made = element("i", { class: "swatch" });
    made.style.background = css(kindColour(colour));
    return made;
  };
  const parts = [];
  if (scale.legend)
    for (const { kind, count, colour } of scale.legend) {
      const word = scale.status ? sideWord(kind) : kind;
      parts.push(element("span", {}, swatch(colour), word, element("b", {}, countText(count))));
    }
  else {
    const strip = element("canvas", { width: 160, height: 1, "aria-hidden": "true" }),
      pen = strip.getContext("2d");
    for (let x = 0; x < 160; x++) {
      pen.fillStyle = css(scale.strip(x / 159));
      pen.fillRect(x, 0, 1, 1);
    }
    parts.push(element("span", {}, scale.low, strip, scale.high));
    if (scale.middle) parts.push(element("span", {}, `${scale.middle} in the middle`));
  }
  byId("legend").replaceChildren(...parts);
}

const sideWord = (kind) => WORDS[kind] ?? kind;
const differenceWords = ({ difference: { kinds }, status }) => (kinds.length ? kinds : [status]).map(sideWord);
