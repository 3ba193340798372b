// Sites in the tree of their modules, in network order: a group stands where its first site does.
function buildTree(sites) {
  const root = { kids: [], groups: new Map(), path: "", label: "" };
  sites.forEach((site, index) => {
    let node = root;
    for (const part of site.path) {
      if (!node.groups.has(part)) {
        const group = { kids: [], groups: new Map(), path: `${node.path}\u0000${part}`, label: part };
        node.groups.set(part, group);
        node.kids.push(group);
      }
      node = node.groups.get(part);
    }
    node.kids.push({ index, label: site.leaf, separator: site.name.includes("/") ? "/" : "." });
  });
  root.kids = root.kids.map(simplified);
  return root;
}

// A group of one site is that site, and a group of one group is one group, each with both names.
function simplified(node) {
  if (!node.kids) return node;
  node.kids = node.kids.map(simplified);
  if (node.kids.length > 1) return node;
  const [only] = node.kids;
  return { ...only, label: `${node.label}${only.kids ? " › " : only.separator}${only.label}` };
}

function sitesIn(node) {
  return node.kids ? node.kids.flatMap(sitesIn) : [node.index];
}

function groupsIn(node) {
  return node.kids.filter((kid) => kid.kids).flatMap((kid) => [kid, ...groupsIn(kid)]);
}

// Unfold level by level as long as no more than so many rows are shown.
function unfoldedAtFirst(root, most) {
  const open = new Set();
  let level = root.kids.filter((kid) => kid.kids);
  let rows = root.kids.length;
  while (level.length) {
    rows += level.reduce((sum, group) => sum + group.kids.length, 0);
    if (rows > most) break;
    level.forEach((group) => open.add(group.path));
    level = level.flatMap((group) => group.kids.filter((kid) => kid.kids));
  }
  return open;
}

