// Charts are made once for each place and filled anew; they never hold markup, and evaluate no text.
const charts = new Map();
const MANY_MARKS = 1500;
const MANY_LABELS = 40;
const LONGEST_LABEL = 22;

function chart(host, name, fills, width, signals = {}) {
  if (!charts.has(host)) {
    const many = Object.values(fills)[0].length > MANY_MARKS || data.sites.length * data.headings.length > MANY_MARKS;
    const made = vegaEmbed(host, data.charts[name], {
      ast: true, actions: false, defaultStyle: false, logLevel: 1, tooltip: showTip,
      renderer: many && ["heat", "depth"].includes(name) ? "canvas" : "svg",
    }).then(({ view }) => view);
    charts.set(host, made);
    made.then((view) => view.addEventListener("click", (_, item) => item?.datum && picked(name, item.datum)));
  }
  return charts.get(host).then((view) => {
    for (const [key, rows] of Object.entries(fills)) view.data(key, rows);
    if (width) view.width(width);
    for (const [key, value] of Object.entries(signals)) view.signal(key, value);
    paint(view);
    return view.runAsync();
  });
}

// What a screen reader is told of a chart; its marks say less than the tables do, and are kept from it.
function chartPlace(id, label) {
  return element("div", { class: "chart", role: "img", "aria-label": label }, element("div", { id, "aria-hidden": "true" }));
}

function picked(name, datum) {
  if (name === "heat") activate(shownRows[datum.row]);
  else if (name === "depth" && datum.index !== undefined) location.hash = data.sites[datum.index].key;
}

// Vega calls this while the pointer is over a mark with a text.
function showTip(_, event, __, value) {
  const tip = byId("tip");
  const text = value && typeof value === "object" ? value.tip : value;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const left = event.clientX + 14 + tip.offsetWidth > window.innerWidth ? event.clientX - tip.offsetWidth - 10 : event.clientX + 14;
  const top = Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8);
  tip.style.left = `${Math.max(left, 4)}px`;
  tip.style.top = `${Math.max(top, 4)}px`;
}

const field = (name) => data.fields.indexOf(name);

function depthValue(what, index, last) {
  const point = last ? data.headings.length - 1 : 0;
  const found = data.statistics[index][point];
  if (what === "std") return found ? found[field("std")] : null;
  if (what === "mean") return found && found[field("mean")] !== null ? Math.abs(found[field("mean")]) : null;
  if (what === "shift") return last ? sizeAt(index, -1) : null;
  const slopes = data.sites[index].side === "out" ? data.gradients[data.sites[index].name] : null;
  return slopes ? slopes.gradient[point] : null;
}

async function drawDepth() {
  const what = byId("depth-what").value;
  const title = byId("depth-what").selectedOptions[0].textContent;
  const depth = [];
  data.sites.forEach((site, index) => (data.headings.length > 1 ? [0, 1] : [1]).forEach((number) => {
    const value = depthValue(what, index, number === 1);
    const point = data.headings.at(number === 1 ? -1 : 0);
    if (value > 0) depth.push({ index, value, number, tip: `${site.name} ${site.side} (${site.type})\n${title} at ${point}: ${compact(value)}` });
  }));
  const norms = data.sites.flatMap((site, index) => (site.role === "norm" && site.side === "out"
    ? [{ index, tip: `${site.name} (${site.type})` }] : []));
  byId("depth-empty").hidden = depth.length > 0;
  const host = byId("depth-chart");
  host.hidden = !depth.length;
  const labels = data.sites.map((site, index) => (data.sites.length > MANY_LABELS ? `${index}`
    : `${[...site.path.slice(-1), site.leaf].join(".").slice(-LONGEST_LABEL)} ${site.side}`));
  const signals = { most: Math.max(data.sites.length - 1, 1), labels, tilt: data.sites.length > MANY_LABELS ? 0 : -35 };
  if (depth.length) await chart(host, "depth", { depth, norms }, Math.max(host.parentElement.clientWidth, 160), signals);
}

async function drawCurves() {
  const host = byId("curves-chart");
  if (!host) return;
  const curves = ["without", "with"].flatMap((name, number) => data.curves[name].map((loss, place) => ({
    step: place + 1, loss, number, tip: `${name} a normalization, step ${place + 1}: loss ${compact(loss)}` })));
  await chart(host, "curves", { curves }, Math.max(host.parentElement.clientWidth, 160));
}

