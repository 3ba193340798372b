// Which rows are shown: what a reader searched for, filtered, sorted and unfolded.
const AT_FIRST = 60;
const PER_PAGE = 200;
const state = { measure: 0, span: 0, masked: true, query: "", filter: "all", sort: "network", page: 0, open: new Set() };
const FILTERS = {
  all: ["all sites", () => true],
  moved: ["beyond the noise", (index) => loudest(index) > 0],
  found: ["with a finding", (_, site) => site.findings > 0],
  advised: ["with a suggestion", (_, site) => site.suggestions > 0],
  layer: ["layers", (_, site) => site.role === "layer"],
  activation: ["activations", (_, site) => site.role === "activation"],
  norm: ["normalizations", (_, site) => site.role === "norm"],
  attention: ["attention", (_, site) => site.role === "attention"],
  block: ["blocks", (_, site) => site.role === "block"],
};
const SORTS = {
  network: ["network order", null],
  largest: ["largest first", (index) => -loudest(index)],
  last: ["largest at the end first", (index) => -sizeAt(index, -1)],
  findings: ["most findings first", (index) => -data.sites[index].findings],
  name: ["name", null],
};
let tree = null;

const measure = () => data.measures[state.measure];
const span = () => data.spans[state.span];

function cellsOf(index) {
  const found = span().cells[measure().key];
  return found ? found[index] : null;
}

function sizeAt(index, place) {
  const cells = cellsOf(index);
  return cells && cells.k.at(place) === 1 ? Math.abs(cells.v.at(place)) : 0;
}

function loudest(index) {
  const cells = cellsOf(index);
  return cells ? Math.max(0, ...cells.v.map((value, place) => (cells.k[place] === 1 ? Math.abs(value) : 0))) : 0;
}

// A star stands for anything; without one the words are looked for anywhere in name and type.
function matcher(query) {
  const words = query.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const tests = words.map((word) => {
    if (!word.includes("*")) return (text) => text.includes(word);
    const pattern = new RegExp(word.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*"));
    return (text) => pattern.test(text);
  });
  return (site) => tests.every((test) => test(`${site.name} ${site.side} ${site.type}`.toLowerCase()));
}

function chosenSites() {
  const matches = matcher(state.query);
  const [, passes] = FILTERS[state.filter];
  return data.sites.map((_, index) => index).filter((index) => matches(data.sites[index]) && passes(index, data.sites[index]));
}

function sortedSites(chosen) {
  if (state.sort === "name") return [...chosen].sort((a, b) => (data.sites[a].name < data.sites[b].name ? -1 : 1));
  const [, key] = SORTS[state.sort];
  return key ? chosen.map((index) => [key(index), index]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((pair) => pair[1])
    : chosen;
}

// Rows from the top: sites and, in network order and without a search, the groups that hold them.
function visibleRows() {
  const chosen = chosenSites();
  if (state.sort !== "network" || state.query.trim()) {
    return sortedSites(chosen).map((index) => ({ index, depth: 0, flat: true }));
  }
  const kept = new Set(chosen);
  const rows = [];
  const walk = (node, depth) => node.kids.forEach((kid) => {
    if (!kid.kids) {
      if (kept.has(kid.index)) rows.push({ index: kid.index, label: kid.label, depth });
      return;
    }
    const members = sitesIn(kid).filter((index) => kept.has(index));
    if (!members.length) return;
    const open = state.open.has(kid.path);
    rows.push({ group: kid, members, depth, open });
    if (open) walk(kid, depth + 1);
  });
  walk(tree, 0);
  return rows;
}

