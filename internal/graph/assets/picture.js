"use strict";
// The SVG of a layout; see layout.js.
const warrenerPicture = (() => {
  const { chipText, widthOf, shorten, sizes } = warrenerLayout;

  // XML has no place for control characters, and none for half a surrogate pair.
  const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  const escapeXML = (text) => String(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(^|[^\ud800-\udbff])[\udc00-\udfff]/g, "$1\ufffd")
    .replace(/[&<>"']/g, (c) => escapes[c]);
  const number = (n) => String(Math.round(n * 10) / 10);

  const icons = {
    exchange: "M1 8h5M6 8l8-5M6 8h8M6 8l8 5",
    queue: "M1 3h14v10H1zM5 3v10M10 3v10",
    topic: "M1 3h14M1 8h10M1 13h12",
  };
  const words = { problem: "not ready", drift: "drift", dead: "dead letters", fine: "✓" };

  // path leads through dagre's points in curves that are level at each of them, from the side of a node to the side of another.
  function path(e, from, to) {
    if (e.a === e.b) {
      const aside = from.width / 4, edge = from.y + from.height / 2, depth = edge + (e.y - edge) / 0.75;
      return "M" + [from.x + aside, edge].map(number).join(" ") + "C" + [from.x + aside, depth, from.x - aside, depth, from.x - aside, edge].map(number).join(" ");
    }
    const inner = e.points.slice(1, -1);
    const towards = inner.length > 0 ? inner : [{ x: to.x, y: to.y }], back = inner.length > 0 ? inner : [{ x: from.x, y: from.y }];
    const side = (node, x) => ({ x: node.x + (x >= node.x ? node.width / 2 : -node.width / 2), y: node.y });
    const start = side(from, towards[0].x);
    const end = side(to, back[back.length - 1].x);
    let text = "M" + number(start.x) + " " + number(start.y), last = start;
    for (const p of [...inner, end]) {
      const middle = (last.x + p.x) / 2;
      text += "C" + [middle, last.y, middle, p.y, p.x, p.y].map(number).join(" ");
      last = p;
    }
    return text;
  }

  function drawEdge(graph, e, at) {
    const edge = graph.edges[e.edge];
    const bad = (edge.badges || []).find((b) => b.kind !== "fine");
    let out = `<g class="edge ${edge.kind}${bad ? " " + bad.kind : ""}" data-edge="${e.edge}" data-from="${e.from}" data-to="${e.to}">` +
      `<title>${escapeXML(edgeTitle(graph, edge))}</title><path d="${path(e, at.get(e.a), at.get(e.b))}" marker-end="url(#to-${edge.kind})"/>`;
    return out + "</g>";
  }

  // Labels stand above all arrows.
  function drawLabel(graph, e) {
    if (e.lines.length === 0) return "";
    const width = Math.max(...e.lines.map((line) => widthOf(line, sizes.key))) + 6, height = e.lines.length * 13 + 3;
    let out = `<g class="label" data-edge="${e.edge}" data-from="${e.from}" data-to="${e.to}">` +
      `<rect x="${number(e.x - width / 2)}" y="${number(e.y - height / 2)}" width="${number(width)}" height="${number(height)}" rx="3"/>`;
    e.lines.forEach((line, i) => {
      out += `<text x="${number(e.x)}" y="${number(e.y + (i - (e.lines.length - 1) / 2) * 13 + 4)}">${escapeXML(line)}</text>`;
    });
    return out + "</g>\n";
  }

  function edgeTitle(graph, edge) {
    const shown = edge.routes.slice(0, 12).map((route) => route.text);
    if (edge.routes.length > shown.length) shown.push("and " + (edge.routes.length - shown.length) + " more");
    return graph.nodes[edge.from].name + " → " + graph.nodes[edge.to].name + "\n" + shown.join("\n");
  }

  function badgesOf(node, open) {
    return (node.badges || []).filter((b) => !(open && b.kind === "dead" && node.inside && !node.forDeadLetters));
  }

  function drawNode(graph, n, isOpen) {
    const node = graph.nodes[n.node], open = isOpen.has(n.node), badges = badgesOf(node, open);
    const states = badges.map((b) => b.kind);
    const classes = ["node", node.kind, node.in ? "derived" : "", node.outside ? "outside" : "", ...states].filter((c) => c).join(" ");
    const spoken = [node.kind + " " + node.name, node.note, ...badges.map((b) => (b.kind === "fine" ? "as declared" : words[b.kind]))].join(", ");
    const w = n.width, h = n.height;
    let out = `<g class="${classes}" data-node="${n.node}" transform="translate(${number(n.x - w / 2)} ${number(n.y - h / 2)})" aria-label="${escapeXML(spoken)}">` +
      `<title>${escapeXML([node.name, node.note, ...badges.map((b) => b.text).filter((t) => t)].join("\n"))}</title>` +
      `<rect class="box" width="${number(w)}" height="${number(h)}" rx="${node.kind === "exchange" ? 22 : 5}"/>` +
      `<path class="icon" transform="translate(11 15)" d="${icons[node.kind]}"/>` +
      `<text class="name" x="${sizes.icon}" y="20">${escapeXML(shorten(node.name, 44))}</text>` +
      `<text class="note" x="${sizes.icon}" y="36">${escapeXML(node.note)}</text>`;
    if (node.inside) {
      out += `<g class="chip" data-fold="${n.node}"><rect x="${sizes.icon - 6}" y="43" width="${number(widthOf(chipText(node, open), sizes.note) + 12)}" height="18" rx="9"/>` +
        `<text x="${sizes.icon}" y="56">${escapeXML(chipText(node, open))}</text></g>`;
    }
    if (node.partitions) {
      const room = w - 2 * sizes.margin, cells = Math.min(node.partitions, Math.floor(room / 5)), step = Math.min(14, room / cells);
      let d = "";
      for (let i = 0; i < cells; i++) d += `M${number(sizes.margin + i * step)} ${number(h - 9)}h${number(step - 2)}v4h-${number(step - 2)}z`;
      out += `<path class="partitions" d="${d}"/>`;
    }
    let x = w - 6;
    for (const badge of badges) {
      const width = widthOf(words[badge.kind], 10) + 10;
      x -= width;
      out += `<g class="badge ${badge.kind}"><rect x="${number(x)}" y="-8" width="${number(width)}" height="16" rx="8"/>` +
        `<text x="${number(x + 5)}" y="3.5">${words[badge.kind]}</text></g>`;
      x -= 4;
    }
    return out + "</g>";
  }

  function drawStub(n) {
    return `<g class="stub" data-stub="${n.node}" transform="translate(${number(n.x - n.width / 2)} ${number(n.y - n.height / 2)})">` +
      `<rect width="${number(n.width)}" height="${number(n.height)}" rx="12"/><text x="10" y="16">${escapeXML(n.text)}</text></g>`;
  }

  // draw gives { svg, width, height }; open are the nodes that are open. Style is CSS to put into it; the page has its own.
  function draw(graph, open, style) {
    const plan = warrenerLayout.layout(graph, open);
    const width = Math.ceil(plan.width), height = Math.ceil(plan.height);
    const kinds = ["binding", "dead", "wait", "alternate", "consumer"];
    let out = `<svg xmlns="http://www.w3.org/2000/svg" class="warrener" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Messaging topology">`;
    if (style) out += `<style>${style}</style><rect class="paper" width="${width}" height="${height}"/>`;
    out += "<defs>" + kinds.map((kind) => `<marker id="to-${kind}" class="tip ${kind}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0.5L8 4L0 7.5z"/></marker>`).join("") + "</defs>\n";
    // Gathered, and joined once: an interpreter that copies the text for each piece takes most of its time for that.
    const pieces = [out];
    for (const f of plan.frames) {
      pieces.push(`<g class="frame"><rect x="${number(f.x)}" y="${number(f.y)}" width="${number(f.width)}" height="${number(f.height)}" rx="8"/>` +
        `<text x="${number(f.x + sizes.framePad)}" y="${number(f.y + 21)}">${escapeXML(f.title)}</text></g>\n`);
      for (const part of f.parts) {
        const at = new Map(part.nodes.map((n) => [n.key, n]));
        for (const e of part.edges) pieces.push(drawEdge(graph, e, at), "\n");
        for (const e of part.edges) pieces.push(drawLabel(graph, e));
        for (const n of part.nodes) pieces.push(n.stub ? drawStub(n) : drawNode(graph, n, plan.isOpen), "\n");
      }
    }
    return { svg: pieces.join("") + "</svg>", width, height };
  }

  return { draw, edgeTitle, words };
})();
