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
    { text: "Nothing is computed yet: only the inputs are there." },
    ...computed.map(node => ({ node, text: "Forward: " + node.forward })),
    ...(computed.length ? [{ node: computed.at(-1), seed: true, text: "Backward: ∂L/∂" + computed.at(-1).name + " = 1 starts the pass." }] : []),
    ...[...computed].reverse().map(node => ({ node, back: true, text: "Backward: " + backward(node) })),
  ];
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
      group.setAttribute("aria-label", folded ? folded.name + ": unfold it" : about ? spoken(about) : (story.groups[id] || "inputs") + ": open it");
      group.addEventListener("click", () => folded ? unfold(folded) : about ? choose(about.id) : open(group));
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
  /* A picture too tall to read as a whole begins at its top, 12-point text 10 pixels high. */
  function begin() {
    const svg = shown(), { x, y, width, height } = svg.whole, readable = 1.2;
    const tall = height / sheet.clientHeight >= 1.1 * readable && height >= width;
    document.getElementById("whole").hidden = !tall;
    if (!tall) return whole();
    const seen = { width: Math.max(sheet.clientWidth * readable, 1), height: sheet.clientHeight * readable };
    place(svg, { x: x + (width - seen.width) / 2, y, ...seen });
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
  let drag = null;
  sheet.addEventListener("pointerdown", event => { drag = { x: event.clientX, y: event.clientY, box: { ...shown().box } }; });
  window.addEventListener("pointermove", event => {
    if (!drag) return;
    const scale = perPixel();
    sheet.classList.add("dragged");
    place(shown(), { ...drag.box, x: drag.box.x - (event.clientX - drag.x) * scale, y: drag.box.y - (event.clientY - drag.y) * scale });
  });
  window.addEventListener("pointerup", () => { drag = null; sheet.classList.remove("dragged"); });

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
    line(panel, "h2", node.name);
    const facts = line(panel, "dl", "");
    const rows = { "value": node.value, "gradient": node.gradient, "shape": node.shape && node.shape.length ? node.shape.join(" × ") : "",
      "what": node.operation ? "result of " + node.operation : node.kind, "layer": node.layer };
    for (const [name, text] of Object.entries(rows)) if (text) { line(facts, "dt", name); line(facts, "dd", text); }
    if (node.formula) line(panel, "p", node.formula, "rule");
    if (node.forward) line(panel, "p", node.forward, "rule");
    for (const part of node.backward || []) {
      const rule = line(panel, "p", part.rule, "rule");
      if (part.numbers) line(rule, "b", " = " + part.numbers);
    }
    if (!element(id)) for (const view of ["nodes", "unfolded"]) if (!element(id) && has(view)) turn(view);
    mark();
  }
  function mark() {
    sheet.querySelectorAll("g.node.now").forEach(group => group.classList.remove("now"));
    const group = chosen && element(chosen);
    if (group) { group.classList.add("now"); bring(group); }
  }

  /* A node that is out of sight comes to the middle. */
  function bring(group) {
    const at = group.getBoundingClientRect(), frame = sheet.getBoundingClientRect(), { box } = shown();
    const out = at.left < frame.left || at.right > frame.right || at.top < frame.top || at.bottom > frame.bottom;
    if (!out || at.width > frame.width || at.height > frame.height) return;
    const scale = perPixel();
    const x = box.x + (at.left + at.width / 2 - frame.left - frame.width / 2) * scale;
    place(shown(), { ...box, x, y: box.y + (at.top + at.height / 2 - frame.top - frame.height / 2) * scale });
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
    const met = new Set(steps.slice(last + 1, current + 1).map(step => step.node.id));
    for (const group of sheet.querySelectorAll("g.node[data-id]")) {
      const id = group.dataset.id.replace(/^op/, "n"), node = nodes.get(id);
      const waits = current > 0 && node && node.operation && (forward ? !done.has(id) : !met.has(id));
      group.classList.toggle("dim", Boolean(waits));
    }
    if (step.node) choose(step.node.id); else { chosen = null; mark(); }
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
    layers.value = story.groups[group.dataset.id] || "";
    if (!story.nodes.length) return;
    turn("nodes");
    show(layers.value);
  }
  const views = { "*folded": "layers", "*unfolded": "unfolded", "": "nodes" };
  for (const option of [...layers.options]) if (!has(views[option.value])) option.remove();
  if (has("nodes")) for (const name of names) line(layers, "option", name).value = name;
  if (shown().dataset.view === "layers") layers.value = "*folded";
  layers.addEventListener("change", () => { turn(views[layers.value] || "nodes"); show(layers.value in views ? "" : layers.value); });
  document.getElementById("choice").hidden = pictures.length < 2;
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
