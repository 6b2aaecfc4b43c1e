"use strict";
/* The interactive graph: pan, zoom, a panel for each node, layers, and the passes one node at a time.
   All text goes in as textContent: labels are data, never markup. */
(() => {
  const story = JSON.parse(document.getElementById("story").textContent);
  const sheet = document.getElementById("sheet"), panel = document.getElementById("panel");
  const said = document.getElementById("said"), range = document.getElementById("step");
  const pictures = [...sheet.querySelectorAll("svg")];
  const nodes = new Map(story.nodes.map(node => [node.id, node]));
  const computed = story.nodes.filter(node => node.operation);
  const steps = [
    { text: "The whole graph, with all that both passes compute. The next step begins with the inputs alone." },
    ...computed.map(node => ({ node, text: "Forward: " + node.forward })),
    ...(computed.length ? [{ node: computed.at(-1), seed: true, text: "Backward: ∂L/∂" + computed.at(-1).name + " = 1 starts the pass." }] : []),
    ...[...computed].reverse().map(node => ({ node, back: true, text: "Backward: " + backward(node) })),
  ];
  const users = new Map(story.nodes.map(node => [node.id, []])); // of each node: what was computed from it
  for (const node of computed) for (const parent of node.parents || []) if (users.has(parent)) users.get(parent).push(node.id);
  let current = 0, chosen = null, timer = 0;

  function backward(node) {
    if (!node.backward.length) return node.name + " hands nothing back.";
    return node.backward.map(part => part.rule + (part.numbers ? " = " + part.numbers : "")).join("; ");
  }

  // The picture that is shown: every node, or a box for each layer.

  const has = view => pictures.some(svg => svg.dataset.view === view);
  const shown = () => pictures.find(svg => !svg.hasAttribute("hidden"));
  const element = id => sheet.querySelector(`svg:not([hidden]) g.node[data-id="${id}"]`);

  pictures.forEach(svg => {
    const [x, y, width, height] = svg.getAttribute("viewBox").split(/[ ,]+/).map(Number);
    svg.whole = { x, y, width, height };
    svg.box = { ...svg.whole };
    svg.querySelectorAll("g.node").forEach(group => {
      const title = group.querySelector("title"), id = title ? title.textContent : "";
      if (title) title.remove();
      group.dataset.id = id;
      const about = nodes.get(id.replace(/^op/, "n")), groupOfLayer = id.startsWith("g");
      const folded = id.startsWith("op") && svg.dataset.view === "nodes" && has("unfolded") && story.functions[id.replace(/^op/, "n")];
      if (!about && !(groupOfLayer && story.nodes.length)) return;
      group.setAttribute("tabindex", "0");
      group.setAttribute("role", "button");
      const inBox = () => (story.groups[id] || "inputs") + (has("nodes") ? ": open it" : ": list its nodes");
      group.setAttribute("aria-label", folded ? folded.name + ": unfold it" : about ? spoken(about) : inBox());
      group.addEventListener("click", () => folded ? unfold(folded) : about ? choose(about.id) : open(group));
      group.addEventListener("focus", () => {
        if (!group.matches(":focus-visible")) return; // a press of the mouse stays where it is
        bring(group);
        sheet.scrollIntoView({ block: "nearest" });
      });
      group.addEventListener("keydown", event => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); group.dispatchEvent(new Event("click")); }
      });
    });
    svg.querySelectorAll("g.edge > title, g.graph > title").forEach(title => title.remove());
  });

  function spoken(node) {
    const gradient = node.gradient ? ", gradient " + node.gradient : "";
    return `${node.operation ? "Result" : node.kind} ${node.name}: value ${node.value}${gradient}`;
  }

  // Zoom and pan, by the viewBox.

  function place(svg, box) {
    svg.box = box;
    svg.setAttribute("viewBox", `${box.x} ${box.y} ${box.width} ${box.height}`);
  }
  function zoom(factor, atX = 0.5, atY = 0.5) {
    const svg = shown(), box = svg.box, least = svg.whole.width / 60, most = svg.whole.width * 3;
    const width = Math.min(most, Math.max(least, box.width * factor)), scale = width / box.width;
    place(svg, { x: box.x + box.width * atX * (1 - scale), y: box.y + box.height * atY * (1 - scale), width, height: box.height * scale });
  }
  function whole() { const svg = shown(); place(svg, { ...svg.whole }); }
  /* A picture too large to read as a whole begins at its top, or its left, 12-point text 10 pixels high. */
  function begin() {
    const svg = shown(), { x, y, width, height } = svg.whole, readable = 1.2;
    whole();
    fitText(svg);
    const tall = height >= width && height / sheet.clientHeight >= 1.35 * readable;
    const wide = height < width && width / sheet.clientWidth >= 1.5 * readable;
    document.getElementById("whole").hidden = !(tall || wide);
    if (!tall && !wide) return;
    const seen = { width: Math.max(sheet.clientWidth * readable, 1), height: sheet.clientHeight * readable };
    const nodes = places(svg), edge = 12;
    const starts = tall ? nodes.map(node => ({ x: node.left - edge, y })) : nodes.map(node => ({ x, y: node.top - edge }));
    const middle = tall ? { x: x + (width - seen.width) / 2, y } : { x, y: y + (height - seen.height) / 2 };
    const inside = (at, node) => node.left >= at.x && node.right <= at.x + seen.width && node.top >= at.y && node.bottom <= at.y + seen.height;
    const amount = at => nodes.filter(node => inside(at, node)).length;
    const most = ats => ats.map(at => ({ at, amount: amount(at) })).reduce((a, b) => b.amount > a.amount ? b : a).at;
    const first = most([middle, ...starts]); // with fewer than two nodes at that end, wherever there are most
    const best = amount(first) > 1 ? first : most([first, ...nodes.map(node => ({ x: node.left - edge, y: node.top - edge }))]);
    place(svg, { ...centred(best, nodes.filter(node => inside(best, node)), seen, tall), ...seen });
  }
  /* The reader's fonts can be wider than those of the layout: text that would come closer to the edge of its box than
     3 points (the layout leaves 5) is set closer. */
  const EDGE = 3;
  function fitText(svg) {
    if (svg.fits) return;
    svg.fits = true;
    const found = [];
    for (const group of svg.querySelectorAll("g.node")) {
      const shapes = [...group.querySelectorAll("path, polygon, ellipse")].map(shape => shape.getBBox());
      if (!shapes.length) continue;
      const box = shapes.reduce((a, b) => b.width > a.width ? b : a);
      for (const text of group.querySelectorAll("text")) {
        const at = text.getBBox(), right = at.x + at.width - box.x - box.width + EDGE, left = box.x + EDGE - at.x;
        const both = text.getAttribute("text-anchor") === "middle" ? 2 : 1;
        const over = both * Math.max(0, right, left);
        if (over > 0 && over < at.width / 2) found.push([text, at.width - over]);
      }
    }
    for (const [text, width] of found) {
      text.setAttribute("textLength", width.toFixed(1));
      text.setAttribute("lengthAdjust", "spacingAndGlyphs");
    }
  }
  /* The same nodes in the middle of what is seen. */
  function centred(at, nodes, seen, tall) {
    if (!nodes.length) return at;
    const [from, to, length] = tall ? ["left", "right", seen.width] : ["top", "bottom", seen.height];
    const middle = (Math.min(...nodes.map(node => node[from])) + Math.max(...nodes.map(node => node[to]))) / 2;
    return tall ? { ...at, x: middle - length / 2 } : { ...at, y: middle - length / 2 };
  }
  /* Where the nodes are, in the units of the viewBox. */
  function places(svg) {
    const back = svg.getScreenCTM().inverse();
    const point = (x, y) => new DOMPoint(x, y).matrixTransform(back);
    return [...svg.querySelectorAll("g.node")].map(group => {
      const at = group.getBoundingClientRect(), first = point(at.left, at.top), last = point(at.right, at.bottom);
      return { left: first.x, top: first.y, right: last.x, bottom: last.y };
    });
  }
  function perPixel() {
    const { box } = shown();
    return Math.max(box.width / sheet.clientWidth, box.height / sheet.clientHeight);
  }
  sheet.addEventListener("wheel", event => {
    event.preventDefault();
    const frame = sheet.getBoundingClientRect();
    zoom(Math.exp(event.deltaY * 0.0015), (event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height);
  }, { passive: false });
  /* One pointer moves the picture; two, of fingers, stretch it between them. A press that moved is no click. */
  const fingers = new Map();
  let drag = null, moved = false;
  const grip = () => {
    const points = [...fingers.values()], [first, last] = [points[0], points.at(-1)];
    return { x: (first.x + last.x) / 2, y: (first.y + last.y) / 2, apart: Math.hypot(first.x - last.x, first.y - last.y) };
  };
  function grasp() { drag = fingers.size ? { ...grip(), box: { ...shown().box }, scale: perPixel() } : null; }
  sheet.addEventListener("pointerdown", event => {
    if (event.button) return;
    moved = fingers.size > 0;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    grasp();
  });
  window.addEventListener("pointermove", event => {
    if (!drag || !fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const now = grip(), { box, scale } = drag;
    if (!moved && Math.hypot(now.x - drag.x, now.y - drag.y) < 5) return;
    moved = true;
    sheet.classList.add("dragged");
    const frame = sheet.getBoundingClientRect();
    place(shown(), { ...box, x: box.x - (now.x - drag.x) * scale, y: box.y - (now.y - drag.y) * scale });
    if (drag.apart > 0 && now.apart > 0) {
      zoom(drag.apart / now.apart, (now.x - frame.left) / frame.width, (now.y - frame.top) / frame.height);
    }
  });
  function release(event) {
    if (!fingers.delete(event.pointerId)) return;
    grasp();
    if (!fingers.size) { sheet.classList.remove("dragged"); setTimeout(() => { moved = false; }); }
  }
  window.addEventListener("pointerup", release);
  window.addEventListener("pointercancel", release);
  sheet.addEventListener("click", event => { if (moved) event.stopPropagation(); }, true);

  // The panel.

  function line(parent, tag, text, name = "") {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    parent.append(made);
    return made;
  }
  function choose(id) {
    chosen = id;
    const node = nodes.get(id);
    panel.replaceChildren();
    line(panel, "h2", node.label || node.name);
    const facts = line(panel, "dl", "");
    const rows = { "value": node.value, "gradient": node.gradient, "shape": node.shape && node.shape.length ? node.shape.join(" × ") : "",
      "what": node.operation ? "result of " + node.operation : node.kind, "layer": node.layer, "made in": node.place };
    for (const [name, text] of Object.entries(rows)) if (text) { line(facts, "dt", name); line(facts, "dd", text); }
    if (node.source) tellSource(node);
    if (node.formula) line(panel, "p", node.formula, "rule");
    if (node.forward) line(panel, "p", node.forward, "rule");
    for (const part of node.backward || []) {
      const rule = line(panel, "p", part.rule, "rule");
      if (part.numbers) line(rule, "b", " = " + part.numbers);
    }
    if (!element(id) && !node.box) for (const view of ["nodes", "unfolded"]) if (!element(id) && has(view)) turn(view);
    mark();
  }
  /* The line of the program, the part that made the node in colour. */
  function tellSource(node) {
    const rule = line(panel, "p", "", "rule"), at = node.source.indexOf(node.part);
    if (at < 0) { line(rule, "b", node.part); return; }
    rule.append(node.source.slice(0, at));
    line(rule, "b", node.part);
    rule.append(node.source.slice(at + node.part.length));
  }
  function mark() {
    sheet.querySelectorAll("g.node.now").forEach(group => group.classList.remove("now"));
    const group = chosen && (element(chosen) || element(nodes.get(chosen).box));
    if (group) { group.classList.add("now"); bring(group); }
  }

  /* A node that is out of sight comes to the middle. */
  function bring(group) {
    const at = group.getBoundingClientRect(), frame = sheet.getBoundingClientRect(), { box } = shown();
    const out = at.left < frame.left || at.right > frame.right || at.top < frame.top || at.bottom > frame.bottom;
    const middle = at.left + at.width / 2 - frame.left, level = at.top + at.height / 2 - frame.top;
    const large = at.width > frame.width || at.height > frame.height;
    if (!out || (large && middle > 0 && middle < frame.width && level > 0 && level < frame.height)) return;
    const scale = perPixel();
    place(shown(), { ...box, x: box.x + (middle - frame.width / 2) * scale, y: box.y + (level - frame.height / 2) * scale });
  }

  // One step of the passes.

  function go(to) {
    current = Math.max(0, Math.min(steps.length - 1, to));
    range.value = String(current);
    const step = steps[current];
    said.textContent = `Step ${current} of ${steps.length - 1}. ${step.text}`;
    range.setAttribute("aria-valuetext", said.textContent);
    const last = computed.length, forward = current <= last;
    const done = new Set(computed.slice(0, forward ? current : last).map(node => node.id));
    const met = new Set(steps.slice(last + 1, current + 1).filter(step => step.back).map(step => step.node.id));
    for (const group of sheet.querySelectorAll("g.node[data-id]")) {
      const id = group.dataset.id.replace(/^op/, "n"), node = nodes.get(id), sign = id !== group.dataset.id;
      const waits = current > 0 && node && node.operation && (forward ? !done.has(id) : sign && !met.has(id));
      group.classList.toggle("dim", Boolean(waits));
      if (node && !sign) paleGradient(group, current > 0 && (forward || !handedOn(node, met)));
    }
    if (step.node) choose(step.node.id); else { chosen = null; mark(); }
  }
  /* A gradient is whole once everything that was computed from the node has handed its share back. */
  function handedOn(node, met) {
    return users.get(node.id).every(id => met.has(id)); // of the last node it is 1 from the start
  }
  function paleGradient(group, pale) {
    let below = false;
    for (const text of group.querySelectorAll("text")) {
      below ||= /^\|?grad\|?$/.test(text.textContent.trim());
      if (below) text.classList.toggle("dim", pale);
    }
  }
  function play() {
    if (timer) { clearInterval(timer); timer = 0; }
    else {
      if (current === steps.length - 1) go(0);
      timer = setInterval(() => { if (current >= steps.length - 1) play(); else go(current + 1); }, 900);
    }
    document.getElementById("play").textContent = timer ? "Pause" : "Play";
  }

  // Layers: one is opened by showing every node, those of other layers pale.

  const layers = document.getElementById("layers");
  const names = [...new Set(story.nodes.map(node => node.layer))].filter(Boolean);
  function show(layer) {
    for (const group of sheet.querySelectorAll("g.node[data-id]")) {
      const node = nodes.get(group.dataset.id.replace(/^op/, "n"));
      group.classList.toggle("dim", Boolean(layer && node && node.layer !== layer));
    }
  }
  function turn(view) {
    pictures.forEach(svg => svg.toggleAttribute("hidden", svg.dataset.view !== view));
    document.querySelectorAll("ul.legend li").forEach(row => row.toggleAttribute("hidden", !row.dataset.views.split(" ").includes(view)));
    size();
    begin();
    mark();
  }
  function unfold(folded) {
    turn("unfolded");
    for (const group of sheet.querySelectorAll("g.node[data-id]")) {
      group.classList.toggle("dim", !folded.inside.includes(group.dataset.id.replace(/^op/, "n")));
    }
    choose(folded.inside.at(-1));
    layers.value = "*unfolded";
  }
  function open(group) {
    if (!has("nodes")) { list(group.dataset.id); return; }
    layers.value = story.groups[group.dataset.id] || "";
    turn("nodes");
    show(layers.value);
  }
  /* Of a box whose nodes are not drawn: a button for each of the first, in the panel. */
  function list(box) {
    const inside = story.nodes.filter(node => node.box === box), most = 60;
    chosen = inside.length ? inside[0].id : null;
    panel.replaceChildren();
    line(panel, "h2", story.groups[box] || "inputs");
    line(panel, "p", inside.length > most ? `The first ${most} of ${inside.length} nodes:` : "Its nodes:", "hint");
    for (const node of inside.slice(0, most)) {
      const button = line(panel, "button", `${node.name} = ${node.value}`);
      button.type = "button";
      button.addEventListener("click", () => choose(node.id));
    }
    mark();
  }
  const views = { "*folded": "layers", "*unfolded": "unfolded", "": "nodes" };
  for (const option of [...layers.options]) if (!has(views[option.value])) option.remove();
  if (has("nodes")) for (const name of names) line(layers, "option", name).value = name;
  if (shown().dataset.view === "layers") layers.value = "*folded";
  layers.addEventListener("change", () => { turn(views[layers.value] || "nodes"); show(layers.value in views ? "" : layers.value); });
  document.getElementById("choice").hidden = pictures.length < 2;
  const missing = document.getElementById("missing");
  missing.textContent = story.missing;
  missing.hidden = !story.missing;
  document.getElementById("steps").hidden = !computed.length;
  panel.hidden = !story.nodes.length;

  /* No taller than the picture is at full width, so that a flat graph leaves no empty sheet. */
  function size() {
    const { width, height } = shown().whole;
    const wanted = sheet.clientWidth * height / width + 24;
    sheet.style.height = Math.max(260, Math.min(wanted, 0.72 * window.innerHeight)) + "px";
  }
  window.addEventListener("resize", size);
  size();
  begin();

  range.max = String(steps.length - 1);
  range.addEventListener("input", () => go(Number(range.value)));
  const actions = { "zoom-in": () => zoom(0.75), "zoom-out": () => zoom(1.34), "fit": begin, "whole": whole, "play": play,
    "next": () => go(current + 1), "previous": () => go(current - 1) };
  for (const [id, action] of Object.entries(actions)) document.getElementById(id).addEventListener("click", action);
  document.addEventListener("keydown", event => {
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", "0": "fit", "ArrowRight": "next", "ArrowLeft": "previous" };
    if (keys[event.key]) { event.preventDefault(); actions[keys[event.key]](); }
  });
  go(0);
})();
