"use strict";
// What happens in the page when somebody clicks, types or turns a wheel. The drawing is picture.js's.
(() => {
  const graph = JSON.parse(document.getElementById("graph").textContent);
  const element = (id) => document.getElementById(id);
  const stage = element("stage"), details = element("details"), search = element("search"), found = element("found");
  const { words } = warrenerPicture;
  const open = new Set();
  const smallest = 0.02, largest = 4, farBelow = 0.45;
  let svg, size, eye = { x: 0, y: 0, zoom: 1 }; // eye: the picture's point in the upper left corner, and pixels by unit
  let chosen = null, matches = [], match = -1;
  let untouched = true; // as long as nobody has zoomed, all of it is shown

  // ---- looking

  const limits = () => ({ width: stage.clientWidth || 1, height: stage.clientHeight || 1 });

  function look() {
    const { width, height } = limits();
    svg.setAttribute("viewBox", [eye.x, eye.y, width / eye.zoom, height / eye.zoom].join(" "));
    svg.classList.toggle("far", eye.zoom < farBelow);
  }

  function fit() {
    untouched = true;
    const { width, height } = limits();
    eye.zoom = Math.max(smallest, Math.min(1.2, width / size.width, height / size.height));
    eye.x = (size.width - width / eye.zoom) / 2;
    eye.y = (size.height - height / eye.zoom) / 2;
    look();
  }

  // zoom keeps the point at x, y of the stage where it is.
  function zoom(factor, x = limits().width / 2, y = limits().height / 2) {
    untouched = false;
    const next = Math.max(smallest, Math.min(largest, eye.zoom * factor));
    eye.x += x / eye.zoom - x / next;
    eye.y += y / eye.zoom - y / next;
    eye.zoom = next;
    look();
  }

  function pan(dx, dy) {
    untouched = false;
    eye.x -= dx / eye.zoom;
    eye.y -= dy / eye.zoom;
    look();
  }

  const middles = new Map();
  // middle of a node or stub, in the picture's units.
  function middle(g) {
    if (!middles.has(g)) {
      const [x, y] = g.getAttribute("transform").match(/-?[\d.]+/g).map(Number), box = g.querySelector("rect");
      middles.set(g, { x: x + Number(box.getAttribute("width")) / 2, y: y + Number(box.getAttribute("height")) / 2 });
    }
    return middles.get(g);
  }

  function centre(g, least) {
    untouched = false;
    const { width, height } = limits(), m = middle(g);
    eye.zoom = Math.max(eye.zoom, least);
    eye.x = m.x - width / eye.zoom / 2;
    eye.y = m.y - height / eye.zoom / 2;
    look();
  }

  function bringIntoView(g) {
    const { width, height } = limits(), m = middle(g), x = (m.x - eye.x) * eye.zoom, y = (m.y - eye.y) * eye.zoom;
    if (x < 90 || y < 40 || x > width - 90 || y > height - 40) centre(g, 0);
  }

  // ---- drawing

  const nodeElement = (i) => svg.querySelector(`[data-node="${i}"]`);

  function attach() {
    svg = stage.querySelector("svg");
    size = { width: Number(svg.getAttribute("width")), height: Number(svg.getAttribute("height")) };
    svg.removeAttribute("role");
    svg.removeAttribute("aria-label");
    middles.clear();
    for (const g of svg.querySelectorAll("[data-node], [data-stub]")) {
      g.setAttribute("tabindex", "-1");
      g.setAttribute("role", g.dataset.stub === undefined ? "button" : "link");
      const node = graph.nodes[g.dataset.node];
      if (node && node.inside) g.setAttribute("aria-expanded", String(open.has(Number(g.dataset.node))));
    }
    const first = chosen !== null && nodeElement(chosen) || svg.querySelector("[data-node]");
    if (first) first.setAttribute("tabindex", "0");
    mark();
  }

  function redraw() {
    stage.innerHTML = warrenerPicture.draw(graph, [...open].sort((a, b) => a - b), "").svg;
    attach();
    look();
  }

  function toggle(i) {
    if (!graph.nodes[i].inside) return;
    const before = { ...middle(nodeElement(i)) }, held = document.activeElement === nodeElement(i);
    if (!open.delete(i)) open.add(i);
    redraw();
    const after = middle(nodeElement(i));
    eye.x += after.x - before.x;
    eye.y += after.y - before.y;
    look();
    if (held) focus(nodeElement(i));
  }

  function openAll(which) {
    open.clear();
    if (which) graph.nodes.forEach((node, i) => { if (node.inside) open.add(i); });
    redraw();
    fit();
  }

  // show opens what a node is inside of, and brings it to the middle.
  function show(i) {
    if (!nodeElement(i)) {
      open.add(graph.nodes[i].in[0]);
      redraw();
    }
    centre(nodeElement(i), 0.9);
  }

  function mark() {
    for (const g of svg.querySelectorAll(".chosen, .near")) g.classList.remove("chosen", "near");
    if (chosen !== null) {
      if (nodeElement(chosen)) nodeElement(chosen).classList.add("chosen");
      for (const g of svg.querySelectorAll(`.edge[data-from="${chosen}"], .edge[data-to="${chosen}"]`)) g.classList.add("near");
    }
    svg.classList.toggle("searching", wanted() !== "");
    const nodes = new Set(matches);
    for (const g of svg.querySelectorAll("[data-node]")) g.classList.toggle("match", nodes.has(Number(g.dataset.node)));
    for (const g of svg.querySelectorAll("[data-edge]")) g.classList.toggle("match", matchesEdge(graph.edges[g.dataset.edge]));
  }

  // ---- details

  const make = (name, text, className) => {
    const e = document.createElement(name);
    if (text !== undefined) e.textContent = text;
    if (className) e.className = className;
    return e;
  };

  const link = (i) => {
    const b = make("button", graph.nodes[i].name, "link");
    b.type = "button";
    b.addEventListener("click", () => { choose(i); show(i); });
    return b;
  };

  function panel(title) {
    details.replaceChildren();
    const close = make("button", "Close", "close");
    close.type = "button";
    close.addEventListener("click", shut);
    details.append(close, make("h2", title));
    reveal(details, true);
  }

  // reveal shows or hides a panel beside the stage, and leaves the picture where it is.
  function reveal(aside, shown) {
    if (aside.hidden === !shown) return;
    aside.hidden = !shown;
    look();
  }

  function section(title, edges, end) {
    if (edges.length === 0) return;
    details.append(make("h3", title));
    const list = make("ul");
    for (const edge of edges) {
      const item = make("li");
      item.append(link(edge[end]), make("div", edge.routes.map((route) => route.text).join("\n"), "key"));
      list.append(item);
    }
    details.append(list);
  }

  function choose(i) {
    chosen = i;
    const node = graph.nodes[i];
    panel(node.name);
    details.append(make("p", node.note.includes(node.kind) ? node.note : node.kind + ": " + node.note));
    for (const badge of node.badges || []) {
      details.append(make("p", badge.kind === "fine" ? "as declared" : words[badge.kind] + ": " + badge.text, "message " + badge.kind));
    }
    if (node.inside) {
      const b = make("button", (open.has(i) ? "Fold " : "Open ") + node.inside);
      b.type = "button";
      b.addEventListener("click", () => { toggle(i); choose(i); });
      details.append(b);
    }
    const table = make("table");
    const row = (name, cell) => {
      const tr = make("tr"), th = make("th", name), td = make("td");
      th.scope = "row";
      td.append(cell);
      tr.append(th, td);
      table.append(tr);
    };
    for (const field of node.details || []) row(field.name, field.value);
    row("in", graph.groups[node.group].title);
    (node.in || []).forEach((parent) => row("made for", link(parent)));
    details.append(table);
    section("Messages go to", graph.edges.filter((e) => e.from === i), "to");
    section("Messages come from", graph.edges.filter((e) => e.to === i), "from");
    mark();
  }

  function chooseEdge(index) {
    const edge = graph.edges[index];
    chosen = null;
    panel({ binding: "Binding", dead: "Dead letters", wait: "Retry", alternate: "Alternate exchange", consumer: "Consumer" }[edge.kind]);
    const ends = make("p");
    ends.append(link(edge.from), " → ", link(edge.to));
    details.append(ends);
    for (const badge of edge.badges || []) {
      if (badge.kind !== "fine") details.append(make("p", words[badge.kind] + ": " + badge.text, "message " + badge.kind));
    }
    const list = make("ul");
    for (const route of edge.routes) {
      const item = make("li", route.text);
      if (route.owner) item.append(make("div", route.owner, "key"));
      list.append(item);
    }
    details.append(list);
    mark();
    for (const g of svg.querySelectorAll(`.edge[data-edge="${index}"]`)) g.classList.add("near");
  }

  function shut() {
    chosen = null;
    reveal(details, false);
    mark();
  }

  // ---- searching

  const wanted = () => search.value.trim().toLowerCase();
  const hay = (parts) => parts.join("\n").toLowerCase();
  const hays = graph.nodes.map((node) => hay([node.kind, node.name, node.note, ...(node.details || []).map((f) => f.name + " " + f.value),
    ...(node.badges || []).map((b) => (b.kind === "dead" ? "dead letters wait" : words[b.kind]) + " " + (b.text || ""))]));
  const edgeHays = new Map(graph.edges.map((edge) => [edge, hay(edge.routes.map((r) => r.text + " " + r.label))]));
  const holds = (text) => wanted().split(/\s+/).every((word) => text.includes(word));
  const matchesEdge = (edge) => wanted() !== "" && holds(edgeHays.get(edge));

  function find() {
    const nodes = new Set();
    if (wanted() !== "") {
      graph.nodes.forEach((_, i) => { if (holds(hays[i])) nodes.add(i); });
      for (const edge of graph.edges) if (matchesEdge(edge)) nodes.add(edge.from).add(edge.to);
    }
    matches = [...nodes].sort((a, b) => a - b);
    match = -1;
    found.textContent = wanted() === "" ? "" : matches.length + " found";
    mark();
    if (wanted() === "") { if (chosen === null) reveal(details, false); return; }
    list();
  }

  function list() {
    chosen = null;
    panel(matches.length + " found");
    const shown = make("ul");
    for (const i of matches.slice(0, 200)) {
      const item = make("li");
      item.append(link(i), " ", make("span", graph.nodes[i].kind, "key"));
      shown.append(item);
    }
    details.append(shown);
    if (matches.length > 200) details.append(make("p", "and " + (matches.length - 200) + " more"));
  }

  function next(step) {
    if (matches.length === 0) return;
    match = (match + step + matches.length) % matches.length;
    found.textContent = match + 1 + " of " + matches.length;
    show(matches[match]);
    choose(matches[match]);
  }

  // ---- hands: mouse, touch

  const fingers = new Map();
  let travelled = 0;

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (fingers.size === 0) travelled = 0;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  stage.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...fingers].find(([id]) => id !== event.pointerId);
    if (other) {
      const at = other[1], box = stage.getBoundingClientRect(), apart = (p) => Math.hypot(p.x - at.x, p.y - at.y) || 1;
      zoom(apart(now) / apart(last), (now.x + at.x) / 2 - box.left, (now.y + at.y) / 2 - box.top);
      travelled = 99;
    } else {
      travelled += Math.hypot(now.x - last.x, now.y - last.y);
      if (travelled > 4) {
        if (!stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
        stage.classList.add("pans");
        pan(now.x - last.x, now.y - last.y);
      }
    }
    fingers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => {
      fingers.delete(event.pointerId);
      stage.classList.remove("pans");
    });
  }
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016)), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  stage.addEventListener("click", (event) => {
    if (travelled > 4) return; // that was a pan
    const g = event.target.closest("[data-fold], [data-node], [data-stub], [data-edge]");
    if (!g) return;
    if (g.dataset.fold !== undefined) toggle(Number(g.dataset.fold));
    else if (g.dataset.edge !== undefined) chooseEdge(Number(g.dataset.edge));
    else {
      focus(g);
      act(g);
    }
  });
  stage.addEventListener("dblclick", (event) => {
    const g = event.target.closest("[data-node]");
    if (g && !event.target.closest("[data-fold]")) toggle(Number(g.dataset.node));
  });

  // act is what Enter and a click do to a node or stub.
  function act(g) {
    const i = Number(g.dataset.node === undefined ? g.dataset.stub : g.dataset.node);
    choose(i);
    if (g.dataset.stub !== undefined) {
      show(i);
      focus(nodeElement(i));
    }
  }

  // ---- keys

  function focus(g) {
    for (const other of svg.querySelectorAll('[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    g.setAttribute("tabindex", "0");
    g.focus({ preventScroll: true });
  }

  // neighbour is the nearest one in that direction; what lies aside counts as farther away.
  function neighbour(from, dx, dy) {
    const at = middle(from);
    let best = null, least = Infinity;
    for (const g of svg.querySelectorAll("[data-node], [data-stub]")) {
      const m = middle(g), along = (m.x - at.x) * dx + (m.y - at.y) * dy, aside = Math.abs((m.x - at.x) * dy) + Math.abs((m.y - at.y) * dx);
      const far = along + 3 * aside;
      if (g !== from && along > 4 && far < least) [best, least] = [g, far];
    }
    return best;
  }

  const arrows = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

  stage.addEventListener("keydown", (event) => {
    const g = event.target.closest("[data-node], [data-stub]");
    if (!g || event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrows[event.key]) {
      const to = neighbour(g, ...arrows[event.key]);
      if (to) {
        focus(to);
        bringIntoView(to);
      }
    } else if (event.key === "Enter") act(g);
    else if (event.key === " " && g.dataset.node !== undefined) toggle(Number(g.dataset.node));
    else return;
    event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (wanted() !== "") { search.value = ""; find(); }
      shut();
      toggleLegend(false);
      return;
    }
    if (event.target === search) return;
    const act = { "/": () => search.focus(), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit }[event.key];
    if (act) {
      act();
      event.preventDefault();
    }
  });

  function toggleLegend(shown) {
    reveal(element("legend"), shown);
    element("legend-button").setAttribute("aria-expanded", String(shown));
  }

  search.addEventListener("input", find);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    next(event.shiftKey ? -1 : 1);
  });
  element("search-form").addEventListener("submit", (event) => event.preventDefault());
  element("zoom-in").addEventListener("click", () => zoom(1.25));
  element("zoom-out").addEventListener("click", () => zoom(0.8));
  element("fit").addEventListener("click", fit);
  element("open-all").addEventListener("click", () => openAll(true));
  element("fold-all").addEventListener("click", () => openAll(false));
  element("legend-button").addEventListener("click", () => toggleLegend(element("legend").hidden));
  for (const b of document.querySelectorAll("[data-search]")) b.addEventListener("click", () => { search.value = b.dataset.search; find(); search.focus(); });
  window.addEventListener("resize", () => (untouched ? fit() : look()));

  document.body.classList.add("live");
  attach();
  fit();
  if (stage.dataset.unfold !== undefined) openAll(true);
})();
