// The tree: the same scopes and variables for the keyboard and for who listens. Items are made when their scope
// is opened, and of very many the first ones; one item at a time is in the order of the Tab key.

const MANY = 200;

const tree = { box: byId("tree"), painted: new Set(), current: null, selected: null, act: null };

function startTree(root, act) {
  tree.act = act;
  addItems(tree.box, root.children, 0);
  setCurrent(root.children[0] ?? null);
  if (root.children.length === 1 && !root.children[0].row) openScope(root.children[0]);
  tree.box.addEventListener("keydown", onTreeKey);
  tree.box.addEventListener("click", onTreeClick);
  tree.box.addEventListener("focusin", (event) => {
    const node = nodeOf(event.target);
    if (node) setCurrent(node);
  });
}

const nodeOf = (target) => target.closest?.('[role="treeitem"]')?.node ?? null;

function addItems(list, nodes, from) {
  const until = Math.min(nodes.length, from + MANY);
  const made = nodes.slice(from, until).map((node, at) => itemOf(node, from + at + 1, nodes.length));
  list.append(...made);
  if (until < nodes.length) list.append(moreItem(list, nodes, until));
}

function itemOf(node, place, of) {
  const size = element("span", { class: "size" }, bytesText(node.bytes));
  const row = element("div", { class: "row" }, element("span", { class: "mark" }));
  if (node.row) {
    node.swatch = element("span", { class: "swatch" });
    row.append(node.swatch);
    if (comparing && SIGNS[node.row.status])
      row.append(element("span", { class: "sign" }, SIGNS[node.row.status]));
  }
  row.append(element("span", { class: "name" }, shownName(node.name)), size);
  const item = element(
    "li",
    {
      role: "treeitem",
      tabindex: -1,
      "aria-level": node.level,
      "aria-posinset": place,
      "aria-setsize": of,
      "aria-selected": "false",
      "aria-label": plain(labelOf(node)),
      "aria-expanded": node.row ? null : "false",
    },
    row,
  );
  item.style.setProperty("--level", node.level);
  item.node = node;
  node.item = item;
  if (node.row) {
    tree.painted.add(node);
    paintItem(node);
  }
  return item;
}

// An item that stands for those that are not made yet.
function moreItem(list, nodes, from) {
  const left = nodes.length - from;
  const row = element(
    "div",
    { class: "row" },
    element("span", { class: "mark" }),
    element("span", { class: "name" }, `${countText(left)} more`),
  );
  const item = element(
    "li",
    {
      role: "treeitem",
      tabindex: -1,
      "aria-level": nodes[0].level,
      "aria-posinset": from + 1,
      "aria-setsize": nodes.length,
      "aria-label": `${countText(left)} more, show some`,
      "aria-selected": "false",
    },
    row,
  );
  item.style.setProperty("--level", nodes[0].level);
  item.more = () => {
    item.remove();
    addItems(list, nodes, from);
    return nodes[from];
  };
  return item;
}

function labelOf(node) {
  const name = shownName(node.name);
  if (!node.row) return `${name}, scope, ${counted(node.variables, "variable")}, ${bytesText(node.bytes)}`;
  const words = [name, node.row.here.type, bytesText(node.bytes)];
  if (node.row.here.trainable === false) words.push("not trainable");
  if (comparing) words.push(...differenceWords(node.row));
  if (node.row.here.nan || node.row.here.inf) words.push("has NaN or infinite elements");
  return words.join(", ");
}

// The colour of the map beside the name, and whether the search has found it.
function paintItem(node) {
  node.swatch.style.background = css(map.colourOf(node.row));
  const line = node.swatch.parentElement;
  line.classList.toggle("dim", map.dimmed(node.row));
  line.classList.toggle("hit", Boolean(map.searching) && !map.dimmed(node.row));
}
function paintTree() {
  tree.painted.forEach(paintItem);
}

const isOpen = (node) => node.item?.getAttribute("aria-expanded") === "true";

function openScope(node) {
  if (node.row || isOpen(node)) return;
  node.item.setAttribute("aria-expanded", "true");
  if (!node.list) {
    node.list = element("ul", { role: "group" });
    addItems(node.list, node.children, 0);
  }
  node.item.append(node.list);
}
function closeScope(node) {
  node.item.setAttribute("aria-expanded", "false");
  node.list.remove();
}

function setCurrent(node) {
  tree.current?.item?.setAttribute("tabindex", "-1");
  tree.current = node;
  node?.item?.setAttribute("tabindex", "0");
}
function select(node) {
  tree.selected?.item?.setAttribute("aria-selected", "false");
  tree.selected = node;
  node?.item?.setAttribute("aria-selected", "true");
}

// Open all around a node, and bring it into sight.
function reveal(node) {
  for (const one of withAround(node).slice(1)) {
    const list = one.parent.parent ? one.parent.list : tree.box;
    while (!one.item) list.lastElementChild.more();
    if (one !== node) openScope(one);
  }
  setCurrent(node);
  node.item.firstElementChild.scrollIntoView({ block: "nearest" });
}

// Items in sight, in order.
const shownItems = () => [...tree.box.querySelectorAll('[role="treeitem"]')];

function goTo(item) {
  if (!item) return;
  if (item.node) setCurrent(item.node);
  item.focus({ preventScroll: true });
  item.firstElementChild.scrollIntoView({ block: "nearest" });
}

function onTreeClick(event) {
  const item = event.target.closest('[role="treeitem"]');
  if (!item) return;
  if (item.more) return goTo(item.more().item);
  const { node } = item;
  if (!node.row && event.target.closest(".mark"))
    return void (isOpen(node) ? closeScope(node) : openScope(node));
  goTo(item);
  if (!node.row) openScope(node);
  tree.act(node);
}

function onTreeKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const item = event.target.closest('[role="treeitem"]');
  if (!item) return;
  const done = item.more ? onMoreKey(event.key, item) : onItemKey(event.key, item);
  if (done) {
    event.preventDefault();
    event.stopPropagation();
  }
}

function onMoreKey(key, item) {
  if (key === "Enter" || key === " " || key === "ArrowRight") goTo(item.more().item);
  else return walk(key, item);
  return true;
}

function onItemKey(key, item) {
  const { node } = item;
  if (key === "ArrowRight") {
    if (node.row) return true;
    if (isOpen(node)) goTo(node.list.firstElementChild);
    else openScope(node);
  } else if (key === "ArrowLeft") {
    if (isOpen(node)) closeScope(node);
    else if (node.parent.item) goTo(node.parent.item);
  } else if (key === "Enter" || key === " ") {
    openScope(node);
    tree.act(node);
  } else return walk(key, item);
  return true;
}

function walk(key, item) {
  const items = shownItems(),
    at = items.indexOf(item);
  if (key === "ArrowDown") goTo(items[at + 1]);
  else if (key === "ArrowUp") goTo(items[at - 1]);
  else if (key === "Home") goTo(items[0]);
  else if (key === "End") goTo(items.at(-1));
  else if (key.length === 1 && !"/? ".includes(key)) {
    const order = [...items.slice(at + 1), ...items.slice(0, at + 1)];
    goTo(order.find((one) => one.node?.name.toLowerCase().startsWith(key.toLowerCase())));
  } else return false;
  return true;
}
