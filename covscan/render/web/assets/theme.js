// Charts take their colours from the style sheet, which knows the scheme, and print in the light one.
const SCHEMES = ["automatic", "light", "dark"];
const COLOURS = ["ink", "muted", "line", "accent", "second", "empty", "on_pale", "on_deep"];
const printing = window.matchMedia("print");

function variable(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name.replace("_", "-")}`).trim();
}

const ramp = () => Array.from({ length: 9 }, (_, step) => variable(`h${step}`));

// The tone of a text on a step of the ramp: 1 is dark, 2 is light.
function toneOn(place) {
  const low = Number(variable("low-tone"));
  return Math.min(Math.floor(place * 9), 8) < Number(variable("turn")) ? low : 3 - low;
}

function paint(view) {
  const known = view.getState({ signals: () => true, data: () => false }).signals;
  for (const name of COLOURS) if (name in known) view.signal(name, variable(name));
  if ("ramp" in known) view.signal("ramp", ramp());
}

function watchScheme(redraw) {
  const button = byId("scheme");
  let scheme = "automatic";
  button.hidden = false;
  button.addEventListener("click", () => {
    scheme = SCHEMES[(SCHEMES.indexOf(scheme) + 1) % SCHEMES.length];
    if (scheme === "automatic") delete document.documentElement.dataset.scheme;
    else document.documentElement.dataset.scheme = scheme;
    button.textContent = `Scheme: ${scheme}`;
    redraw();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  printing.addEventListener("change", redraw);
}

