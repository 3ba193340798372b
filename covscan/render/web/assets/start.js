function choice(id, label, options, change) {
  const select = element("select", { id }, options.map(([value, text]) => element("option", { value }, text)));
  select.addEventListener("change", () => change(select.value));
  return element("label", { for: id }, `${label} `, select);
}

function heatControls() {
  const set = (name, number) => (value) => { Object.assign(state, { [name]: number ? Number(value) : value, page: 0 }); changed(); };
  const search = element("input", { id: "search", type: "search", placeholder: "name or type, * for anything", "aria-keyshortcuts": "/" });
  search.addEventListener("input", () => set("query")(search.value));
  const mask = element("input", { id: "mask", type: "checkbox", checked: true });
  mask.addEventListener("change", () => { state.masked = mask.checked; drawHeat(); });
  const fold = (text, open) => {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", () => { state.open = new Set(open ? groupsIn(tree).map((group) => group.path) : []); state.page = 0; drawHeat(); });
    return made;
  };
  const roles = new Set(data.sites.map((site) => site.role));
  const filters = Object.entries(FILTERS).filter(([name]) => roles.has(name) || ["all", "moved", "found", "advised"].includes(name));
  const spans = data.spans.map((each, place) => [place, each.title]);
  return element("div", { class: "controls" },
    element("label", { for: "search" }, "Search ", search),
    choice("measure", "Measure", data.measures.map((each, place) => [place, each.title]), set("measure", true)),
    spans.length > 1 ? choice("span", "Shift", spans, set("span", true)) : null,
    choice("filter", "Show", filters.map(([name, [text]]) => [name, text]), set("filter")),
    choice("sort", "Order", Object.entries(SORTS).map(([name, [text]]) => [name, text]), set("sort")),
    element("label", { for: "mask" }, mask, " mask noise"),
    groupsIn(tree).length ? element("span", {}, fold("Unfold all", true), " ", fold("Fold all", false)) : null);
}

function buildHeat() {
  const before = element("button", { type: "button", id: "heat-before" }, "‹ Before");
  const after = element("button", { type: "button", id: "heat-after" }, "After ›");
  before.addEventListener("click", () => { state.page -= 1; drawHeat(); });
  after.addEventListener("click", () => { state.page += 1; drawHeat(); });
  const names = element("ul", { id: "heat-names", "aria-label": "Sites; arrows move, Enter opens" });
  names.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) { focusRow = Number(button.dataset.row); activate(shownRows[focusRow]); }
  });
  names.addEventListener("keydown", moveFocus);
  const place = byId("shift-drawn");
  place.append(heatControls(), element("p", { id: "heat-legend", class: "legend" }),
    element("p", { id: "heat-empty", hidden: true, role: "status" }, "No site matches."),
    element("div", { class: "heat" }, names, element("div", { class: "plot" }, element("div", { id: "heat-chart", "aria-hidden": "true" }))),
    element("p", { id: "heat-pager", hidden: true }, before, " ", element("span", { id: "heat-range" }), " ", after));
  place.hidden = false;
  foldTable();
}

// The table stays, folded, also where the browser unfolded it for the sake of a permalink.
function foldTable() {
  const table = byId("shift-table");
  const box = table?.querySelector(".scroll");
  if (!box) return;
  const summary = element("summary", {}, `The same as a table: ${data.sites.length} rows`);
  table.replaceChildren(element("details", {}, summary, table.querySelector("p"), box));
}

function buildDepth() {
  const options = [["std", "standard deviation"], ["mean", "|mean|"]];
  if (Object.keys(data.gradients).length) options.push(["gradient", "gradient over weights"]);
  if (data.spans.length) options.push(["shift", "shift beyond noise, measure as above"]);
  const ends = data.headings.length > 1 ? [element("span", { class: "key second" }, "■ ", data.headings[0]), element("span", { class: "key accent" }, "● ", data.headings.at(-1))]
    : [element("span", { class: "key accent" }, "● ", data.headings[0])];
  byId("depth-drawn").append(
    element("div", { class: "controls" }, choice("depth-what", "Quantity", options, drawDepth), element("span", { class: "legend" }, ends,
      data.sites.some((site) => site.role === "norm") ? element("span", { class: "key" }, "┊ a normalization that is there") : null)),
    element("p", { id: "depth-empty", hidden: true }, "Nothing above 0 to draw."),
    chartPlace("depth-chart", "Profile over the depth of the network; the tables below have its values"));
  byId("depth-drawn").hidden = false;
}

function buildCurves() {
  const place = byId("trials");
  if (!place || !data.curves || data.curves.without.length < 2) return;
  place.append(element("p", { class: "legend" }, element("span", { class: "key second" }, "┅ without a normalization"), element("span", { class: "key accent" }, "━ with the best one"),
    element("span", { class: "faint" }, "each at its best rate, mean of the seeds")),
    chartPlace("curves-chart", "Training loss with and without a normalization; the table above has its values"));
}

function countFindings() {
  const count = (kind) => {
    const found = new Map();
    for (const each of document.querySelectorAll(`main ${kind}[data-layer]`)) {
      found.set(each.dataset.layer, [...(found.get(each.dataset.layer) || []), each]);
    }
    return found;
  };
  const [found, advised] = [count("tr.finding"), count("article.suggestion")];
  for (const site of data.sites) {
    const here = found.get(site.key) || [];
    Object.assign(site, { findings: here.length, suggestions: (advised.get(site.key) || []).length });
    if (here.length) Object.assign(site, { worst: here[0].cells[0].textContent.slice(0, 1), severity: here[0].cells[0].className });
  }
}

function changed() {
  drawHeat();
  arrangeTable();
  if (byId("depth-what")?.value === "shift") drawDepth();
}

function redrawPage() {
  const drawn = [];
  if (data.spans.length && data.sites.length) drawn.push(drawHeat());
  if (data.sites.length) drawn.push(drawDepth());
  drawn.push(drawCurves());
  return Promise.all(drawn);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && openLayer >= 0) hideLayer();
  else if (event.key === "/" && !event.target.closest("input, select, textarea")) {
    byId("search")?.focus();
    event.preventDefault();
  }
}

function unfoldForPrint() {
  const folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((each) => { each.open = true; });
  window.addEventListener("afterprint", () => folded.forEach((each) => { each.open = false; }), { once: true });
}

async function start() {
  data = JSON.parse(await unpacked("data"));
  await loadLibrary();
  countFindings();
  tree = buildTree(data.sites);
  state.open = unfoldedAtFirst(tree, AT_FIRST);
  if (data.spans.length && data.sites.length) {
    takeTable();
    buildHeat();
  }
  if (data.sites.length) buildDepth();
  buildCurves();
  addCopying(document.querySelectorAll("main article.suggestion"));
  document.documentElement.classList.add("scripted");
  await redrawPage();
  readHash();
  if (openLayer >= 0) byId("shift")?.scrollIntoView();
  window.addEventListener("hashchange", readHash);
  document.addEventListener("keydown", onKey);
  watchScheme(() => { redrawPage(); if (openLayer >= 0) drawLayer(openLayer); });
  window.addEventListener("beforeprint", unfoldForPrint);
  let pending = 0;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => { redrawPage(); if (openLayer >= 0) drawLayer(openLayer); });
  });
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  byId("overview").append(element("p", { class: "warning", role: "status" }, `Charts cannot be drawn here (${error.message}); the tables have every value.`));
  console.error(error);
});
