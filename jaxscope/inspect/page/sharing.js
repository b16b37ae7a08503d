// Who shares what: on the left what is asked for more than once, on the right the lines and scopes that ask.
// Variables of one scope that the same places ask for are one node. All nodes are buttons, in the order of reading.

const MOST_GROUPS = 120;

function sharedGroups(rows) {
  const groups = new Map();
  for (const row of rows) {
    if (row.times < 2) continue;
    const scope = row.node.parent,
      places = row.asked.map(([at]) => at);
    const key = JSON.stringify([scope.path, places, row.asked.map(([, times]) => times)]);
    if (!groups.has(key)) groups.set(key, { scope, rows: [], places, asked: row.asked });
    groups.get(key).rows.push(row);
  }
  // What is asked for at several places comes first; what one line asks for again and again is last.
  return [...groups.values()].sort((a, b) => b.places.length - a.places.length);
}

function showGraph(rows, { choose, say }) {
  const all = sharedGroups(rows),
    groups = all.slice(0, MOST_GROUPS),
    box = byId("graph");
  const shared = rows.filter((row) => row.times > 1).length;
  if (!groups.length) {
    box.replaceChildren(element("p", {}, "No variable is asked for more than once."));
    return;
  }
  const places = [...new Set(groups.flatMap((group) => group.places))];
  const svg = drawing("svg", { "aria-hidden": "true" });
  const left = new Map(),
    right = new Map();
  const light = (on) => () => lightUp(on, { left, right, svg });
  const button = (lines, label, on, act) =>
    element(
      "button",
      {
        type: "button",
        class: "node",
        "aria-label": plain(label),
        onmouseenter: light(on),
        onfocus: light(on),
        onmouseleave: light(null),
        onblur: light(null),
        onclick: act,
      },
      ...lines,
    );
  for (const group of groups) {
    const [first] = group.rows,
      many = group.rows.length > 1,
      name = groupName(group);
    const what = many
      ? `${group.rows.length} variables: ${few(group.rows.map((row) => row.node.name))}`
      : first.here.type;
    const who = group.places.map(placeText).join("; ");
    left.set(
      group,
      button(
        [name, element("small", {}, `${what}, ${first.times} times`)],
        `${name}, ${what}, asked for ${first.times} times: ${who}`,
        { group },
        () => {
          choose(many ? group.scope : first.node);
          say(`${name}: asked for at ${who}`);
        },
      ),
    );
  }
  for (const at of places) {
    const [file, line, name, scope] = data.sharing.places[at];
    const those = groups.filter((group) => group.places.includes(at));
    const asks = few(those.map(groupName));
    right.set(
      at,
      button(
        [
          scope || "(root)",
          element("small", { title: file }, `${lineText(file, line)} in ${name}`),
        ],
        `${placeText(at)} asks for ${asks}`,
        { at },
        () => say(`${placeText(at)} asks for ${asks}`),
      ),
    );
  }
  const column = (title, nodes) =>
    element(
      "div",
      {},
      element("h3", {}, title),
      element("ul", {}, ...nodes.map((one) => element("li", {}, one))),
    );
  const leftOut =
    all.length > groups.length
      ? ` The first ${groups.length} of ${all.length} groups are drawn; the details of each variable have all.`
      : "";
  box.replaceChildren(
    element(
      "p",
      {},
      `${counted(shared, "variable")} of ${countText(rows.length)} ${shared === 1 ? "is" : "are"} asked for more than once.${leftOut}`,
    ),
    element(
      "div",
      { class: "columns" },
      column("Shared", [...left.values()]),
      element("div"),
      column("Asked for in scope, at line", [...right.values()]),
      svg,
    ),
  );
  const draw = () => drawLinks({ groups, left, right, svg });
  showGraph.draw = draw;
  draw();
}

const groupName = ({ scope, rows }) => (rows.length > 1 ? `${scope.path || "(root)"}/` : rows[0].name);
const few = (names) =>
  names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
function placeText(at) {
  const [file, line, name, scope] = data.sharing.places[at];
  return `${lineText(file, line)} in ${name}${scope ? `, scope ${scope}` : ""}`;
}

function drawLinks({ groups, left, right, svg }) {
  const origin = svg.parentElement.getBoundingClientRect();
  const paths = [];
  for (const group of groups)
    for (const [at, times] of group.asked) {
      const from = left.get(group).getBoundingClientRect(),
        to = right.get(at).getBoundingClientRect();
      const [x1, y1] = [from.right - origin.left, (from.top + from.bottom) / 2 - origin.top];
      const [x2, y2] = [to.left - origin.left, (to.top + to.bottom) / 2 - origin.top];
      const bend = (x2 - x1) / 2;
      const path = drawing("path", {
        d: `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`,
        "stroke-width": Math.min(1.5 + Math.log2(times), 6),
      });
      path.ends = { group, at };
      paths.push(path);
    }
  svg.replaceChildren(...paths);
}

// What hangs together with the node under the pointer, or in focus.
function lightUp(on, { left, right, svg }) {
  for (const node of [...left.values(), ...right.values()]) node.classList.remove("on");
  svg.classList.toggle("on", Boolean(on));
  for (const path of svg.children) {
    const { group, at } = path.ends,
      lit = Boolean(on) && (on.group === group || on.at === at);
    path.classList.toggle("on", lit);
    if (lit) {
      left.get(group).classList.add("on");
      right.get(at).classList.add("on");
    }
  }
}
