"use strict";
// Where everything in a picture stands: what is seen of a graph, how large it is, and dagre's layout of it. The same file
// works for `warrener graph -o svg` and, while somebody opens and folds, in the page. It needs neither a browser nor a
// network, and the same graph gives the same numbers everywhere. The shape of `graph` is that of model.go.
const warrenerLayout = (() => {
  const nameSize = 13, noteSize = 11, keySize = 11;
  const nodeHeight = 46, chipHeight = 20, iconSpace = 34, margin = 12, stubHeight = 24;
  const titleHeight = 34, framePad = 18, frameGap = 32, partGap = 28, gridGap = 14;
  const shape = 1.7; // width by height of a screen
  // What hangs together is drawn together up to this many nodes. More would be higher than any screen, and take seconds.
  const mostTogether = 36, mostInPart = 22;
  // All text is monospaced, so that its width is known without a screen. 0.602 em is that of DejaVu Sans Mono and of Menlo;
  // others are narrower.
  const advance = 0.602;

  // ---- text

  const wide = (c) => c >= 0x1100 && (c <= 0x115f || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
    (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) || c >= 0x1f300);
  const columns = (text) => [...text].reduce((sum, c) => sum + (wide(c.codePointAt(0)) ? 2 : 1), 0);
  const widthOf = (text, size) => columns(text) * size * advance;

  // shorten leaves out the middle: names of one family differ at both ends.
  function shorten(text, most) {
    const all = [...text];
    if (all.length <= most) return text;
    const head = Math.ceil((most - 1) * 0.6);
    return all.slice(0, head).join("") + "…" + all.slice(all.length - (most - 1 - head)).join("");
  }

  // ---- what is seen; see fold.go

  function view(graph, open) {
    const isOpen = new Set(open);
    const seen = graph.nodes.map((node) => !node.in || node.in.some((i) => isOpen.has(i)));
    const standIns = (i) => (seen[i] ? [i] : graph.nodes[i].in);
    const edges = [];
    graph.edges.forEach((edge, i) => {
      if (edge.in) {
        if (seen[edge.from] && seen[edge.to] && edge.in.some((n) => isOpen.has(n))) edges.push({ edge: i, from: edge.from, to: edge.to });
        return;
      }
      for (const from of standIns(edge.from)) {
        for (const to of standIns(edge.to)) {
          if (from !== to || edge.from === edge.to) edges.push({ edge: i, from, to });
        }
      }
    });
    return { seen, edges, isOpen };
  }

  // ---- where it stands

  const chipText = (node, open) => (open ? "▾ " : "▸ ") + node.inside;

  function nodeSize(node) {
    let width = iconSpace + Math.max(widthOf(shorten(node.name, 44), nameSize), widthOf(node.note, noteSize));
    if (node.inside) width = Math.max(width, iconSpace + widthOf(chipText(node, true), noteSize));
    return { width: Math.ceil(width) + margin + 2, height: nodeHeight + (node.inside ? chipHeight : 0) + (node.partitions ? 8 : 0) };
  }

  // labelLines are two keys at most; the details have all of them.
  function labelLines(edge) {
    const labels = [...new Set(edge.routes.map((route) => route.label).filter((label) => label !== ""))];
    const most = labels.length > 2 ? 1 : 2;
    const lines = labels.slice(0, most).map((label) => shorten(label, 34));
    if (labels.length > most) lines.push("+ " + (labels.length - most) + " more");
    return lines;
  }

  // union groups numbers; the smallest number of a group stands for it.
  function union(members) {
    const root = new Map(members.map((i) => [i, i])), size = new Map();
    const find = (i) => { while (root.get(i) !== i) i = root.get(i); return i; };
    return {
      find,
      weigh: (i, weight) => size.set(i, weight),
      size: (i) => size.get(find(i)) || 0,
      join: (i, j) => {
        const a = find(i), b = find(j);
        if (a === b) return;
        const sum = (size.get(a) || 0) + (size.get(b) || 0);
        root.set(Math.max(a, b), Math.min(a, b));
        size.set(Math.min(a, b), sum);
      },
    };
  }

  // homes says for each node with which others it is drawn: what hangs together, unless that is too much. Then the edges that
  // tell most about a node (from or to where there are few) keep it with its neighbours, and the others are cut. It does not
  // depend on what is open, so that opening a node moves nothing to another place.
  function homes(graph) {
    const folded = view(graph, []), own = graph.nodes.map((_, i) => i).filter((i) => folded.seen[i]);
    const edges = folded.edges.filter((e) => e.from !== e.to);
    const count = (end) => edges.reduce((counts, e) => counts.set(e[end], (counts.get(e[end]) || 0) + 1), new Map());
    const out = count("from"), into = count("to");
    const weights = new Map(own.map((i) => [i, 1]));
    graph.nodes.forEach((node) => { if (node.in) weights.set(node.in[0], weights.get(node.in[0]) + 0.3); });

    const whole = union(own);
    own.forEach((i) => whole.weigh(i, 1));
    for (const e of edges) whole.join(e.from, e.to);
    const large = (i) => whole.size(i) > mostTogether;

    const home = union(own);
    own.forEach((i) => home.weigh(i, weights.get(i)));
    const joinIf = (a, b) => { if (!large(a) || home.size(a) + home.size(b) <= mostInPart) home.join(a, b); };
    const ranked = edges.map((e, n) => ({ e, n, rank: out.get(e.from) + into.get(e.to) })).sort((x, y) => x.rank - y.rank || x.n - y.n);
    for (const { e } of ranked) if (home.find(e.from) !== home.find(e.to)) joinIf(e.from, e.to);
    // What is left of a node with very many neighbours goes together.
    const leftOf = new Map();
    for (const e of edges) {
      if (home.find(e.from) === home.find(e.to)) continue;
      if (home.size(e.to) < mostInPart / 3) leftOf.set(e.from, (leftOf.get(e.from) || []).concat(e.to));
      if (home.size(e.from) < mostInPart / 3) leftOf.set(e.to, (leftOf.get(e.to) || []).concat(e.from));
    }
    for (const i of own) {
      const left = leftOf.get(i) || [];
      for (let n = 1; n < left.length; n++) if (home.find(left[n]) !== home.find(left[n - 1])) joinIf(left[n], left[n - 1]);
    }
    return graph.nodes.map((node, i) => home.find(node.in ? node.in[0] : i));
  }

  // pieces are the nodes and edges of one part. An edge that leads out of it ends at a stub, which names what is elsewhere.
  function pieces(graph, nodes, edges) {
    const inside = new Set(nodes);
    const boxes = nodes.map((i) => ({ key: "n" + i, node: i, ...nodeSize(graph.nodes[i]) })), lines = [];
    const stubs = new Map(), elsewhere = new Map();
    const stub = (key, node, text) => {
      if (!stubs.has(key)) stubs.set(key, { key, stub: true, node, text, width: Math.ceil(widthOf(text, noteSize)) + 20, height: stubHeight });
      return key;
    };
    const named = (i) => shorten(graph.nodes[i].name, 30) + " ↗";
    for (const e of edges) {
      if (inside.has(e.from) && inside.has(e.to)) lines.push({ ...e, a: "n" + e.from, b: "n" + e.to, lines: labelLines(graph.edges[e.edge]) });
      else if (inside.has(e.to)) lines.push({ ...e, a: stub("g" + e.from, e.from, named(e.from)), b: "n" + e.to, lines: labelLines(graph.edges[e.edge]) });
      else elsewhere.set(e.from, (elsewhere.get(e.from) || []).concat(e));
    }
    for (const [from, out] of elsewhere) {
      const targets = new Set(out.map((e) => e.to));
      const key = targets.size === 1 ? stub("g" + out[0].to, out[0].to, named(out[0].to)) : stub("o" + from, from, targets.size + " elsewhere ↗");
      lines.push({ ...out[0], a: "n" + from, b: key, lines: [] });
    }
    return { boxes: boxes.concat([...stubs.values()]), lines };
  }

  // Parts that stay as they are need not be laid out again when another one is opened.
  const known = new WeakMap();

  function remembered(graph) {
    if (!known.has(graph)) known.set(graph, { home: homes(graph), parts: new Map() });
    return known.get(graph);
  }

  function place(graph, nodes, edges) {
    const { parts } = remembered(graph), key = nodes.join() + " " + edges.map((e) => [e.edge, e.from, e.to].join("-")).join();
    if (!parts.has(key)) parts.set(key, placeAnew(graph, nodes, edges));
    const part = parts.get(key);
    return { ...part, nodes: part.nodes.map((n) => ({ ...n })), edges: part.edges.map((e) => ({ ...e })) };
  }

  // placeAnew lays out one part by itself; its upper left corner is 0, 0.
  function placeAnew(graph, nodes, edges) {
    const { boxes, lines } = pieces(graph, nodes, edges);
    const g = new dagre.graphlib.Graph({ multigraph: true });
    g.setGraph({ rankdir: "LR", nodesep: 16, ranksep: 34, edgesep: 8, marginx: 0, marginy: 0 });
    g.setDefaultEdgeLabel(() => ({}));
    for (const box of boxes) g.setNode(box.key, { width: box.width, height: box.height });
    lines.forEach((line, n) => {
      g.setEdge(line.a, line.b, {
        width: line.lines.reduce((most, text) => Math.max(most, widthOf(text, keySize)), 0) + 12,
        height: Math.max(line.lines.length, 1) * 14, labelpos: "c",
      }, String(n));
    });
    dagre.layout(g);
    // dagre gives the nodes of a rank one middle; one left side reads better.
    const widest = new Map();
    for (const box of boxes) {
      const at = g.node(box.key);
      widest.set(at.x, Math.max(widest.get(at.x) || 0, at.width));
    }
    for (const box of boxes) {
      const at = g.node(box.key);
      box.x = at.x - (widest.get(at.x) - at.width) / 2;
      box.y = at.y;
    }
    lines.forEach((line, n) => {
      const at = g.edge(line.a, line.b, String(n));
      line.points = at.points;
      line.x = line.a === line.b ? boxes.find((box) => box.key === line.a).x : at.x; // dagre leaves room below for a loop
      line.y = at.y;
    });
    return { nodes: boxes, edges: lines, width: g.graph().width, height: g.graph().height };
  }

  // grid places nodes that nothing leads to in columns of one width.
  function grid(graph, nodes) {
    const sizes = nodes.map((i) => nodeSize(graph.nodes[i]));
    const width = Math.max(...sizes.map((s) => s.width)), height = Math.max(...sizes.map((s) => s.height));
    const across = Math.max(1, Math.round(Math.sqrt(nodes.length * (height + gridGap) / (width + gridGap) * shape)));
    const out = { nodes: [], edges: [], width: Math.min(across, nodes.length) * (width + gridGap) - gridGap, height: 0 };
    for (let first = 0; first < nodes.length; first += across) {
      const row = sizes.slice(first, first + across), top = out.height + (first > 0 ? gridGap : 0);
      row.forEach((size, n) => out.nodes.push({ key: "n" + nodes[first + n], node: nodes[first + n], x: n * (width + gridGap) + width / 2, y: top + size.height / 2, width, height: size.height }));
      out.height = top + Math.max(...row.map((size) => size.height));
    }
    return out;
  }

  // pack puts boxes in rows, the highest first, into about the shape of a screen.
  function pack(boxes, gap) {
    const area = boxes.reduce((sum, b) => sum + (b.width + gap) * (b.height + gap), 0);
    const widest = Math.max(0, ...boxes.map((b) => b.width));
    const limit = Math.max(widest, Math.sqrt(area * shape));
    const order = boxes.map((_, i) => i).sort((a, b) => boxes[b].height - boxes[a].height || a - b);
    let x = 0, y = 0, row = 0, width = 0;
    const at = [];
    for (const i of order) {
      if (x > 0 && x + boxes[i].width > limit) { x = 0; y += row + gap; row = 0; }
      at[i] = { x, y };
      x += boxes[i].width + gap;
      width = Math.max(width, x - gap);
      row = Math.max(row, boxes[i].height);
    }
    return { at, width, height: y + row };
  }

  const moved = (part, dx, dy) => {
    for (const n of part.nodes) { n.x += dx; n.y += dy; }
    for (const e of part.edges) {
      if (e.x !== undefined) { e.x += dx; e.y += dy; }
      e.points = e.points.map((p) => ({ x: p.x + dx, y: p.y + dy }));
    }
  };

  function frame(graph, seen, home, index) {
    const nodes = graph.nodes.map((_, i) => i).filter((i) => graph.nodes[i].group === index && seen.seen[i]);
    const edges = seen.edges.filter((e) => graph.nodes[e.from].group === index);
    const linked = new Set(edges.flatMap((e) => [e.from, e.to]));
    const parts = new Map();
    for (const i of nodes) {
      if (!linked.has(i)) continue;
      if (!parts.has(home[i])) parts.set(home[i], []);
      parts.get(home[i]).push(i);
    }
    const boxes = [...parts].map(([at, part]) => place(graph, part, edges.filter((e) => home[e.from] === at || home[e.to] === at)));
    const alone = nodes.filter((i) => !linked.has(i));
    if (alone.length > 0) boxes.push(grid(graph, alone));
    const packed = pack(boxes, partGap);
    boxes.forEach((box, i) => moved(box, packed.at[i].x + framePad, packed.at[i].y + titleHeight));
    const title = shorten(graph.groups[index].title, 80);
    return {
      title, parts: boxes,
      width: Math.max(packed.width, widthOf(title, noteSize)) + 2 * framePad, height: packed.height + titleHeight + framePad,
    };
  }

  // layout gives frames with their parts, and parts with nodes and edges, in one system of coordinates; x and y of nodes and
  // labels are their middle.
  function layout(graph, open) {
    const seen = view(graph, open), { home } = remembered(graph);
    const frames = graph.groups.map((_, i) => frame(graph, seen, home, i));
    const packed = pack(frames, frameGap);
    frames.forEach((f, i) => {
      f.x = packed.at[i].x + margin;
      f.y = packed.at[i].y + margin;
      for (const part of f.parts) moved(part, f.x, f.y);
    });
    return { frames, isOpen: seen.isOpen, width: packed.width + 2 * margin, height: packed.height + 2 * margin };
  }

  return { view, homes, layout, chipText, widthOf, shorten, sizes: { name: nameSize, note: noteSize, key: keySize, icon: iconSpace, margin, framePad } };
})();
