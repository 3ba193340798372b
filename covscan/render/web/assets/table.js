// The table of shifts follows the search, the filter and the order of the heatmap.
let tableRows = null;

function takeTable() {
  const found = new Map([...document.querySelectorAll("#shifts tbody tr")].map((row) => [row.id, row]));
  tableRows = data.sites.map((site) => found.get(site.key));
  // The fragment opens the panel now, and must not scroll to the row as well.
  tableRows.forEach((row) => row?.removeAttribute("id"));
}

function arrangeTable() {
  const body = document.querySelector("#shifts tbody");
  if (!body) return;
  const order = sortedSites(chosenSites()).map((index) => tableRows[index]).filter(Boolean);
  body.replaceChildren(...order);
}

function addCopying(places) {
  for (const place of places) {
    for (const patch of place.querySelectorAll("pre")) {
      const button = element("button", { type: "button", class: "copy" }, "Copy");
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(patch.textContent).then(() => { button.textContent = "Copied"; }, () => selectText(patch));
      });
      patch.before(button);
    }
  }
}

// Where a browser keeps the clipboard from a file, the text is at least selected.
function selectText(place) {
  window.getSelection().selectAllChildren(place);
}

