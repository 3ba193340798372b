// The heatmap: names as buttons on the left, cells by the chart library on the right, row beside row.
const ROW = 20;
const NUMBERS_FROM = 38;
const WIDEST_CELL = 110;
let shownRows = [];
let focusRow = 0;

function cellOf(row, column) {
  if (!row.group) return { ...oneCell(row.index, column), of: row.index };
  const found = row.members.map((index) => ({ ...oneCell(index, column), of: index }));
  const loud = found.filter((cell) => cell.kind === 1).sort((a, b) => Math.abs(b.value) - Math.abs(a.value))[0];
  const quiet = found.filter((cell) => cell.kind === 0).sort((a, b) => Math.abs(b.value) - Math.abs(a.value))[0];
  return loud || quiet || found[0];
}

function oneCell(index, column) {
  const cells = cellsOf(index);
  if (!cells || cells.k[column] === null) return { kind: null, value: null };
  const at = (name) => (cells[name] ? cells[name][column] : null);
  return { kind: cells.k[column], value: at("v"), noise: at("n"), low: at("l"), high: at("h") };
}

function describedCell(row, column, cell) {
  const site = data.sites[cell.of];
  const lines = row.group ? [`${row.group.label}: the largest of ${row.members.length} sites`] : [];
  lines.push(`${site.name} ${site.side}`, `${span().headings[column]}, ${span().title}`);
  if (cell.value === null) lines.push(`not measured: ${cell.kind || "no such pair"}`);
  else {
    const range = interval(cell.low, cell.high);
    lines.push(`${measure().title}: ${compact(cell.value)}${range ? ` [${range}]` : ""}`);
    lines.push(`noise ${compact(cell.noise)}; ${cell.kind === 1 ? "counts" : "within noise or too small"}`);
  }
  return lines.join("\n");
}

function cellsFor(rows, wide) {
  return rows.flatMap((row, number) => span().headings.map((heading, column) => {
    const cell = cellOf(row, column);
    const coloured = cell.value !== null && (cell.kind === 1 || !state.masked);
    const place = coloured ? placeOf(measure(), cell.value) : null;
    let text = "";
    if (cell.value === null) text = cell.kind === null ? "" : "×";
    else if (!coloured) text = "·";
    else if (wide) text = compact(cell.value);
    const tone = coloured ? toneOn(place) : 0;
    return { row: number, column: heading, place, text, tone, tip: describedCell(row, column, cell) };
  }));
}

function rowButton(row, number) {
  const indent = element("span", { class: "indent" });
  indent.style.width = `${row.depth * 14}px`;
  if (row.group) {
    const count = element("span", { class: "count" }, `${row.members.length}`);
    return element("button", { type: "button", class: "row group", "aria-expanded": `${row.open}`, "data-row": number, tabindex: "-1" },
      indent, element("span", { class: "fold", "aria-hidden": "true" }, row.open ? "▾" : "▸"),
      element("span", { class: "tail" }, row.group.label), count);
  }
  const site = data.sites[row.index];
  const cell = oneCell(row.index, span().headings.length - 1);
  const value = cell.value === null ? "not measured" : `${compact(cell.value)}${cell.kind === 1 ? "" : ", within noise"}`;
  const mark = site.suggestions ? "★" : site.worst || "";
  const head = row.flat ? site.name.slice(0, site.name.length - site.leaf.length) : "";
  return element("button", { type: "button", class: `row site${row.index === openLayer ? " current" : ""}`, "data-row": number, tabindex: "-1",
    title: `${site.name} ${site.side}`, "aria-label": `${site.name} ${site.side}: ${value}` },
    indent, element("span", { class: "head" }, head), element("span", { class: "tail" }, row.label || site.leaf),
    element("span", { class: "side" }, site.side), element("span", { class: `mark ${site.severity || ""}` }, mark));
}

async function drawHeat() {
  const all = visibleRows();
  const pages = Math.max(Math.ceil(all.length / PER_PAGE), 1);
  state.page = Math.min(state.page, pages - 1);
  shownRows = all.slice(state.page * PER_PAGE, (state.page + 1) * PER_PAGE);
  focusRow = Math.min(focusRow, Math.max(shownRows.length - 1, 0));
  const list = byId("heat-names");
  list.replaceChildren(...shownRows.map((row, number) => element("li", {}, rowButton(row, number))));
  const tabbed = list.querySelectorAll("button")[focusRow];
  if (tabbed) tabbed.tabIndex = 0;
  byId("heat-empty").hidden = shownRows.length > 0;
  drawPager(all.length, pages);
  drawLegend();
  const host = byId("heat-chart");
  host.hidden = !shownRows.length;
  if (!shownRows.length) return;
  const room = host.parentElement.clientWidth - 2;
  const width = Math.max(Math.min(room, span().headings.length * WIDEST_CELL), 60);
  const cells = cellsFor(shownRows, width / span().headings.length >= NUMBERS_FROM);
  const view = await chart(host, "heat", { cells }, width);
  list.style.marginTop = `${view.origin()[1] + view.padding().top}px`;
}

function drawPager(rows, pages) {
  const pager = byId("heat-pager");
  pager.hidden = pages < 2;
  const first = state.page * PER_PAGE + 1;
  byId("heat-range").textContent = `Rows ${first} to ${Math.min(first + PER_PAGE - 1, rows)} of ${rows}`;
  byId("heat-before").disabled = state.page === 0;
  byId("heat-after").disabled = state.page === pages - 1;
}

function drawLegend() {
  const steps = Array.from({ length: 9 }, (_, step) => element("span", { class: `swatch h${step}` }));
  const ends = [0, 0.5, 1].map((place) => compact(valueAt(measure(), place)));
  byId("heat-legend").replaceChildren(
    element("span", {}, `${measure().title}${measure().unit ? `, ${measure().unit}` : ""}`),
    element("span", { class: "scale" }, element("span", {}, `≤ ${ends[0]}`), element("span", { class: "swatches" }, steps),
      element("span", {}, `≥ ${ends[2]}, middle ${ends[1]}`)),
    element("span", {}, state.masked ? "· within noise or too small" : "noise is coloured too"),
    element("span", {}, "× not measured"), element("span", {}, "★ suggestion"));
}

function activate(row) {
  if (!row) return;
  if (!row.group) {
    location.hash = data.sites[row.index].key;
    return;
  }
  if (state.open.has(row.group.path)) state.open.delete(row.group.path);
  else state.open.add(row.group.path);
  refocus(() => drawHeat());
}

function refocus(draw) {
  const inside = byId("heat-names").contains(document.activeElement);
  draw();
  if (inside) byId("heat-names").querySelectorAll("button")[focusRow]?.focus({ preventScroll: true });
}

function moveFocus(event) {
  const buttons = [...byId("heat-names").querySelectorAll("button")];
  const row = shownRows[focusRow];
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -buttons.length, End: buttons.length };
  if (event.key in steps) {
    buttons[focusRow].tabIndex = -1;
    focusRow = Math.max(0, Math.min(buttons.length - 1, focusRow + steps[event.key]));
    buttons[focusRow].tabIndex = 0;
    buttons[focusRow].focus();
  } else if (row?.group && ((event.key === "ArrowRight" && !row.open) || (event.key === "ArrowLeft" && row.open))) {
    activate(row);
  } else return;
  event.preventDefault();
}

