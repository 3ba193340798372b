// One site: opened by a click, a key or its permalink, in a panel beside the page.
let openLayer = -1;
let returnTo = null;
const figures = new Map();

function readHash() {
  const wanted = location.hash.slice(1);
  const key = data.aliases[wanted] || wanted;
  const index = data.sites.findIndex((site) => site.key === key);
  if (index >= 0) showLayer(index);
  else if (wanted.startsWith("layer=") || openLayer >= 0) hideLayer();
}

function hideLayer() {
  if (openLayer < 0) return;
  openLayer = -1;
  byId("layer").hidden = true;
  document.body.classList.remove("with-layer");
  if (location.hash.startsWith("#layer=")) history.replaceState(null, "", location.pathname + location.search);
  redrawPage();
  if (returnTo?.isConnected) returnTo.focus();
  else byId("heat-names")?.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
}

function showLayer(index) {
  const opened = openLayer < 0;
  if (opened) returnTo = document.activeElement?.closest("a") ? document.activeElement : null;
  openLayer = index;
  const panel = byId("layer");
  panel.replaceChildren(...layerParts(data.sites[index], index));
  panel.hidden = false;
  panel.scrollTop = 0;
  document.body.classList.add("with-layer");
  byId("layer-title").focus({ preventScroll: true });
  drawLayer(index);
  if (opened) redrawPage();
  markCurrent();
}

function markCurrent() {
  byId("heat-names")?.querySelectorAll("button").forEach((button, number) => {
    button.classList.toggle("current", shownRows[number].index === openLayer && openLayer >= 0);
  });
}

function layerParts(site, index) {
  const button = (text, act, more = {}) => {
    const made = element("button", { type: "button", ...more }, text);
    made.addEventListener("click", act);
    return made;
  };
  const go = (step) => () => { location.hash = data.sites[index + step].key; };
  const facts = site.facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  return [
    element("div", { class: "bar" },
      button("‹ Previous", go(-1), { disabled: index === 0 }), button("Next ›", go(1), { disabled: index === data.sites.length - 1 }),
      element("a", { href: `#${site.key}` }, "Permalink"), button("Close", hideLayer, { "aria-keyshortcuts": "Escape" })),
    element("h2", { id: "layer-title", tabindex: "-1" }, site.name, element("span", { class: "faint" }, ` ${site.side} · ${site.type}`)),
    element("dl", { class: "facts" }, facts),
    ...copies(site),
    figure(site, "layer-bands", "Percentile bands", "15th, 50th and 85th percentile of the values"),
    figure(site, "layer-spread", "Distribution", "bars hold 98, 90, 70 and 50 % of the values; line: median; diamond: mean"),
    figure(site, "layer-scale", "Scale", "● standard deviation, ■ |mean|, logarithmic"),
    figure(site, "layer-gradient", "Gradient", "● gradient over weights, ■ one step over weights, logarithmic"),
    valuesTable(site, index), shiftsTable(site, index),
  ];
}

// A figure stays with its chart when the panel shows another site.
function figure(site, id, title, said) {
  if (!figures.has(id)) {
    figures.set(id, element("figure", { id: `${id}-figure` },
      element("figcaption", {}, element("strong", {}, title), ` ${said}`), chartPlace(id, "")));
  }
  const made = figures.get(id);
  made.lastChild.setAttribute("aria-label", `${title} of ${site.name}: the table below has its values`);
  return made;
}

// Findings and suggestions stand in the page already; the panel shows the same words.
function copies(site) {
  const about = (kind) => [...document.querySelectorAll(`main ${kind}`)].filter((each) => each.dataset.layer === site.key);
  const parts = [];
  const found = about("tr.finding").map((row) => element("li", {}, [0, 1, 3].map((cell) =>
    element("div", { class: row.cells[cell].className }, [...row.cells[cell].cloneNode(true).childNodes]))));
  if (found.length) parts.push(element("h3", {}, found.length > 1 ? `${found.length} findings` : "Finding"), element("ul", { class: "found" }, found));
  for (const advice of about("article.suggestion")) {
    parts.push(element("h3", {}, "Suggestion"), element("div", { class: "suggestion" }, [...advice.cloneNode(true).childNodes].filter((node) => node.tagName !== "BUTTON")));
    parts.at(-1).querySelectorAll("h3").forEach((heading) => heading.replaceWith(element("p", {}, element("strong", {}, heading.textContent))));
    parts.at(-1).querySelectorAll(".copy").forEach((copy) => copy.remove());
  }
  addCopying(parts.filter((part) => part.querySelector));
  return parts;
}

function tableOf(caption, headings, rows) {
  const cell = (text, place) => (place ? element("td", { class: "n" }, text) : element("th", { scope: "row" }, text));
  return element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    element("table", {}, element("caption", {}, caption),
      element("thead", {}, element("tr", {}, headings.map((text, place) => element("th", { scope: "col", class: place ? "n" : "" }, text)))),
      element("tbody", {}, rows.map((row) => element("tr", {}, row.map(cell))))));
}

function valuesTable(site, index) {
  const shown = [["p15"], ["p50"], ["p85"], ["mean"], ["std"], ["min"], ["max"], ["zero_share", share], ["saturated_share", share], ["nonfinite_share", share]];
  const slopes = data.gradients[site.name];
  const headings = [data.kind === "checkpoints" ? "checkpoint" : "side", "p15", "p50", "p85", "mean", "std", "min", "max", "zero", "saturated", "NaN/inf",
    ...(slopes ? ["gradient/weights", "step/weights", "gradient noise", "changed below"] : [])];
  const rows = data.headings.map((heading, point) => {
    const found = data.statistics[index][point];
    const cells = shown.map(([name, write]) => (found ? (write || compact)(found[field(name)]) : "n/a"));
    return [heading, ...cells, ...(slopes ? ["gradient", "step", "noise", "changed"].map((name) => compact(slopes[name][point])) : [])];
  });
  return tableOf("Values at each checkpoint", headings, rows);
}

function shiftsTable(site, index) {
  if (!data.spans.length) return null;
  const last = data.headings.length - 2;
  const rows = data.measures.flatMap((each) => {
    const cells = data.spans[0].cells[each.key]?.[index];
    if (!cells || cells.k[last] === null) return [];
    const range = cells.l ? interval(cells.l[last], cells.h[last]) : "in the JSON report";
    if (cells.v[last] === null) return [[each.title, "n/a", "", "", cells.k[last]]];
    return [[each.title, compact(cells.v[last]), range, compact(cells.n[last]), cells.k[last] === 1 ? "yes" : "no"]];
  });
  return tableOf(`Shift ${data.spans[0].title}, at ${data.headings.at(-1)}`, ["measure", "value", "95 % interval", "noise", "counts"], rows);
}

async function drawLayer(index) {
  const site = data.sites[index];
  const known = data.headings.map((at, point) => [at, data.statistics[index][point]]).filter(([, found]) => found && found[field("p50")] !== null);
  const spread = known.map(([at, found]) => {
    const row = Object.fromEntries(data.fields.slice(0, 11).map((name, place) => [name, found[place]]));
    return { ...row, at, tip: `${at}\np15 ${compact(row.p15)}, median ${compact(row.p50)}, p85 ${compact(row.p85)}\np1 ${compact(row.p1)}, p99 ${compact(row.p99)}\nmean ${compact(row.mean)}, sd ${compact(row.std)}` };
  });
  const scale = data.headings.flatMap((at, point) => ["std", "mean"].map((name, number) => {
    const found = data.statistics[index][point];
    return trendRow(at, number, found ? found[field(name)] : null, name === "std" ? "standard deviation" : "|mean|");
  }));
  const slopes = data.gradients[site.name];
  const gradient = slopes ? data.headings.flatMap((at, point) => [trendRow(at, 0, slopes.gradient[point], "gradient over weights"),
    trendRow(at, 1, slopes.step[point], "one step over weights")]) : [];
  const width = Math.max(byId("layer-bands-figure").clientWidth, 160);
  await Promise.all([["layer-bands", "bands", { bands: spread }], ["layer-spread", "spread", { spread }],
    ["layer-scale", "trend", { trend: scale.filter(Boolean) }], ["layer-gradient", "trend", { trend: gradient.filter(Boolean) }],
  ].map(([id, name, fills]) => {
    const rows = Object.values(fills)[0];
    byId(`${id}-figure`).hidden = !rows.length;
    return rows.length ? chart(byId(id), name, fills, width) : null;
  }));
}

function trendRow(at, number, value, what) {
  const size = Math.abs(value);
  return value ? { at, number, value: size, tip: `${at}\n${what} ${compact(size)}` } : null;
}

