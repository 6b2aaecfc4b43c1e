"use strict";
/* Pictures that pages of training share: charts of curves, a plane of two inputs, a network of circles and weights.
   All text goes in as textContent: names are data, never markup. */
const plots = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  /* The colours of the theme; beyond the eighth, hues far from each other. */
  const series = number => number < 8 ? `var(--series-${number + 1})` : `rgb(${further(number).join(" ")})`;
  function further(number) {
    const hue = number * 137.508 % 360, light = isDark() ? 0.72 : [0.32, 0.5][number % 2], wide = 0.6 * Math.min(light, 1 - light);
    return [0, 8, 4].map(n => {
      const k = (n + hue / 30) % 12;
      return Math.round(255 * (light - wide * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
    });
  }

  function make(parent, tag, attributes = {}, text = "") {
    const made = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text) made.textContent = text;
    parent.append(made);
    return made;
  }

  /* Draw anew when the frame has another width; in the next picture, since drawing changes the height of the frame. */
  function follow(host, draw) {
    let width = host.clientWidth;
    new ResizeObserver(() => {
      if (host.clientWidth === width) return;
      width = host.clientWidth;
      requestAnimationFrame(draw);
    }).observe(host);
  }

  function brief(x) {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x > 0 ? "∞" : "−∞";
    if (x === 0) return "0";
    const size = Math.abs(x), text = size >= 1e5 || size < 1e-3 ? x.toExponential(2) : String(Number(x.toPrecision(4)));
    return text.replace(/\.?0+e/, "e").replace("e+", "e").replace("-", "−").replace("e-", "e−");
  }

  /* Round numbers between low and high, about `count` of them. */
  function ticks(low, high, count) {
    const rough = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(x => x * power).find(x => x >= rough * 0.999) || rough;
    const first = Math.ceil(low / step - 1e-9) * step, found = [];
    for (let k = 0; k <= 10 * count; k++) { // x += step would stay where it is, of a step below the spacing of floats
      const x = first + k * step;
      if (x > high + step * 1e-9) break;
      if (x !== found.at(-1)) found.push(Math.abs(x) < step * 1e-9 ? 0 : x);
    }
    return found;
  }
  function powers(low, high, count) {
    const from = Math.ceil(Math.log10(low) - 1e-9), to = Math.floor(Math.log10(high) + 1e-9);
    if (high < 100 * low) { // within two decades: 1, 2 and 5 of each, and of less than a factor of 5 evenly spaced ones
      const few = [];
      for (let k = from - 1; k <= to; k++) for (const m of [1, 2, 5]) few.push(Number(`${m}e${k}`));
      const inside = few.filter(x => x >= low * (1 - 1e-9) && x <= high * (1 + 1e-9));
      return inside.length > 1 ? inside : ticks(low, high, count).filter(x => x > 0);
    }
    const step = Math.max(1, Math.ceil((to - from + 1) / count)), found = [];
    for (let k = from; k <= to; k += step) found.push(10 ** k);
    return found;
  }

  /* A text for each tick, no two alike: with as few digits as that takes; where they are too long, what each is above
     `base`. As tick_texts of charts/axes.py. */
  function texts(list) {
    const step = list.slice(1).reduce((least, x, i) => Math.min(least, Math.abs(x - list[i]) || least), Infinity);
    const apart = numbers => {
      for (let digits = 4; digits < 16; digits++) {
        const found = numbers.map(x => digits === 4 ? brief(x) : exact(x, digits));
        const near = numbers.every((x, i) => Math.abs(read(found[i]) - x) <= 0.01 * step + 1e-12 * Math.abs(x));
        if (near && new Set(found).size === numbers.length) return found;
      }
      return numbers.map(brief);
    };
    const found = apart(list), longest = texts => Math.max(0, ...texts.map(text => text.length));
    if (longest(found) <= 8 || !Number.isFinite(step)) return { texts: found, base: "" };
    const base = Number(Math.min(...list).toPrecision(3)), beyond = apart(list.map(x => Math.abs(x - base) < step * 1e-6 ? 0 : x - base));
    return { texts: beyond, base: `${brief(base)} +` };
  }
  function exact(x, digits) {
    const text = Number(x.toPrecision(digits)), size = Math.abs(x);
    return (size >= 1e5 || size < 1e-3) && x ? trim(text.toExponential()) : String(text).replace("-", "−");
  }
  const trim = text => text.replace(/\.?0+e/, "e").replace("e+", "e").replaceAll("-", "−");
  const read = text => Number(text.replaceAll("−", "-"));

  /* A chart that is drawn anew when its frame or its curves change. series: [{name, x, y, colour, dash, dots}]. */
  function chart(host, { xLabel = "", height = 220, log = true, xLimits = null, yLimits = null } = {}) {
    const svg = make(host, "svg", { role: "img" });
    const made = { svg, curves: [], log, mark: null, xLimits, yLimits, height };
    const scale = {};
    const room = { left: 56, right: 12, top: 10, bottom: 36 };

    function limits(values, given) {
      if (given) return given;
      let low = Infinity, high = -Infinity;
      for (const list of values) for (const x of list) if (Number.isFinite(x)) { if (x < low) low = x; if (x > high) high = x; }
      return low > high ? [0, 1] : low === high ? [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2] : [low, high];
    }
    made.draw = () => {
      const width = Math.max(220, host.clientWidth || 320), high = made.height;
      svg.setAttribute("viewBox", `0 0 ${width} ${high}`);
      svg.setAttribute("width", width);
      svg.setAttribute("height", high);
      svg.replaceChildren();
      const useLog = made.log && made.curves.some(c => c.y.some(Number.isFinite)) && made.curves.every(c => c.y.every(y => y > 0 || !Number.isFinite(y)));
      const [x0, x1] = limits(made.curves.map(c => c.x), made.xLimits);
      let [y0, y1] = limits(made.curves.map(c => c.y), made.yLimits);
      if (!useLog && !made.yLimits) { const pad = (y1 - y0) * 0.05; y0 -= pad; y1 += pad; }
      const levels = (useLog ? powers : ticks)(y0, y1, 4), beside = texts(levels);
      room.top = beside.base ? 26 : 10; // what is to be added to each number stands above them
      const inner = { width: width - room.left - room.right, height: high - room.top - room.bottom };
      scale.x = x => room.left + (x - x0) / (x1 - x0) * inner.width;
      const part = useLog ? y => (Math.log10(y) - Math.log10(y0)) / (Math.log10(y1) - Math.log10(y0)) : y => (y - y0) / (y1 - y0);
      scale.y = y => room.top + (1 - part(y)) * inner.height;
      levels.forEach((y, i) => {
        make(svg, "line", { x1: room.left, x2: width - room.right, y1: scale.y(y), y2: scale.y(y), class: "rule" });
        make(svg, "text", { x: room.left - 6, y: scale.y(y) + 4, class: "tick end" }, beside.texts[i]);
      });
      if (beside.base) make(svg, "text", { x: 2, y: 12, class: "tick" }, beside.base);
      const steps = ticks(x0, x1, inner.width / 70), below = texts(steps);
      steps.forEach((x, i) => {
        make(svg, "line", { x1: scale.x(x), x2: scale.x(x), y1: room.top, y2: high - room.bottom, class: "rule" });
        make(svg, "text", { x: scale.x(x), y: high - room.bottom + 16, class: "tick middle" }, below.texts[i]);
      });
      const named = [below.base, xLabel].filter(Boolean).join(" ");
      make(svg, "text", { x: room.left + inner.width / 2, y: high - 4, class: "tick middle" }, named);
      for (const curve of made.curves) drawCurve(curve);
      made.marker = make(svg, "line", { y1: room.top, y2: high - room.bottom, class: "marker" });
      made.at(made.mark);
    };
    function drawCurve(curve) {
      if (curve.dots) {
        for (let i = 0; i < curve.x.length; i++) if (Number.isFinite(curve.y[i])) {
          make(svg, "circle", { cx: scale.x(curve.x[i]), cy: scale.y(curve.y[i]), r: 3, style: `fill: ${curve.colour}` });
        }
        return;
      }
      let path = "", pen = "M", last = 0;
      for (let i = 0; i < curve.x.length; i++) {
        const y = Number.isFinite(curve.y[i]) ? scale.y(curve.y[i]) : NaN;
        if (Number.isNaN(y)) { pen = "M"; continue; }
        path += `${pen}${scale.x(curve.x[i]).toFixed(1)} ${y.toFixed(1)}`;
        last = i; pen = "L";
      }
      make(svg, "path", { d: path, class: "curve", style: `stroke: ${curve.colour}; stroke-dasharray: ${curve.dash || "none"}` });
      if (curve.x.length === 1) make(svg, "circle", { cx: scale.x(curve.x[last]), cy: scale.y(curve.y[last]), r: 5, style: `fill: ${curve.colour}` });
    }
    made.at = x => {
      made.mark = x;
      if (!made.marker) return;
      made.marker.style.display = x === null ? "none" : "";
      if (x !== null) for (const end of ["x1", "x2"]) made.marker.setAttribute(end, scale.x(x));
    };
    made.show = curves => { made.curves = curves; made.draw(); };
    made.label = text => svg.setAttribute("aria-label", text);
    follow(host, () => made.draw());
    return made;
  }

  function legend(host, curves) {
    host.replaceChildren();
    for (const { name, colour, dash } of curves) {
      const item = document.createElement("li"), svg = make(item, "svg", { width: 22, height: 10, "aria-hidden": "true" });
      make(svg, "line", { x1: 0, x2: 22, y1: 5, y2: 5, style: `stroke: ${colour}; stroke-width: 2.5; stroke-dasharray: ${dash || "none"}` });
      item.append(name);
      host.append(item);
    }
  }

  /* Colours of the theme as numbers, for what is drawn point by point. */
  function colours() {
    const style = getComputedStyle(document.documentElement), found = {};
    const read = name => {
      const text = style.getPropertyValue(name).trim().slice(1);
      return [0, 2, 4].map(i => parseInt(text.slice(i, i + 2), 16));
    };
    found.series = [1, 2, 3, 4, 5, 6, 7, 8].map(k => read(`--series-${k}`));
    for (const name of ["card", "ink", "muted", "line"]) found[name] = read(`--${name}`);
    return found;
  }
  const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;
  const blend = (a, b, t) => a.map((x, i) => Math.round(x + (b[i] - x) * t));

  /* What the network says over the plane of two inputs, and the samples. A cell is a number from -1 (series 1) to
     1 (series 2), or {class, sure} packed as class + 0.999 * sure / 2 + 10. */
  function plane(host, { x, y, side, points = [], names = ["input 1", "input 2"] }) {
    const canvas = document.createElement("canvas"), small = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    host.append(canvas);
    small.width = small.height = side;
    const made = { canvas, cells: null, points, x, y };
    const room = { left: 48, right: 8, top: 8, bottom: 34 };
    let tint = colours();
    const tintOf = kind => kind < 8 ? tint.series[kind] : further(kind);

    function paint() {
      const pen = small.getContext("2d"), image = pen.createImageData(side, side), { cells } = made;
      for (let i = 0; i < side * side; i++) {
        const v = cells ? cells[i] : 0;
        const [colour, share] = v >= 9.5 ? [tintOf(Math.floor(v - 10)), 0.12 + 0.6 * (v - 10 - Math.floor(v - 10))]
          : [tint.series[v < 0 ? 0 : 1], Math.min(1, Math.abs(v)) * 0.62];
        const [r, g, b] = Number.isNaN(v) ? tint.line : blend(tint.card, colour, share);
        image.data.set([r, g, b, 255], 4 * i);
      }
      pen.putImageData(image, 0, 0);
    }
    made.draw = () => {
      const width = Math.max(200, Math.min(host.clientWidth || 320, 460)), height = Math.round(width * 0.9), ratio = devicePixelRatio || 1;
      const inner = { width: width - room.left - room.right, height: height - room.top - room.bottom };
      if (canvas.width !== Math.round(width * ratio)) {
        canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
        canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
      }
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      paint();
      pen.imageSmoothingEnabled = true;
      pen.drawImage(small, room.left, room.top, inner.width, inner.height);
      const atX = v => room.left + (v - made.x[0]) / (made.x[1] - made.x[0]) * inner.width;
      const atY = v => room.top + (made.y[1] - v) / (made.y[1] - made.y[0]) * inner.height;
      for (const point of made.points) {
        const colour = css(colourOf(point));
        pen.beginPath();
        pen.arc(atX(point.x), atY(point.y), 3.2, 0, 7);
        pen.fillStyle = point.ring ? css(tint.card) : colour;
        pen.strokeStyle = point.ring ? colour : css(tint.card);
        pen.lineWidth = point.ring ? 1.8 : 1;
        pen.fill();
        pen.stroke();
      }
      pen.font = "12px system-ui, sans-serif";
      pen.fillStyle = css(tint.muted);
      pen.textAlign = "center";
      const across = ticks(...made.x, inner.width / 80), below = texts(across), up = ticks(...made.y, inner.height / 60), beside = texts(up);
      across.forEach((v, i) => pen.fillText(below.texts[i], atX(v), height - room.bottom + 15));
      pen.fillText([below.base, names[0]].filter(Boolean).join(" "), room.left + inner.width / 2, height - 4);
      pen.textAlign = "right";
      pen.save();
      pen.rotate(-Math.PI / 2);
      pen.textAlign = "center";
      pen.fillText([beside.base, names[1]].filter(Boolean).join(" "), -(room.top + inner.height / 2), 11);
      pen.restore();
      up.forEach((v, i) => pen.fillText(beside.texts[i], room.left - 5, atY(v) + 4));
    };
    function colourOf(point) {
      if (point.kind !== undefined) return tintOf(point.kind);
      return blend(tint.card, tint.series[point.value < 0 ? 0 : 1], 0.25 + 0.75 * Math.min(1, Math.abs(point.value)));
    }
    made.show = cells => { made.cells = cells; made.draw(); };
    made.label = text => canvas.setAttribute("aria-label", text);
    const again = () => { tint = colours(); made.draw(); };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    follow(host, () => made.draw());
    return made;
  }

  /* Circles for units and edges for weights, those of each layer as wide as their share of its largest weight. A deep
     network goes on in a further row, which begins with the layer that the row above ends with; on a narrow page after
     fewer layers, so that the captions stay 9 px high. */
  function network(host, { widths, captions, most = 12, across = 8 }) {
    const svg = make(host, "svg", { role: "img" });
    const shown = widths.map(width => Math.min(width, width > most ? most - 1 : most)), rows = widths.map(w => Math.min(w, most));
    if (host.clientWidth) across = Math.max(1, Math.min(across, Math.floor((host.clientWidth / 0.75 - 96) / 118)));
    const layers = widths.length - 1, bands = Math.max(1, Math.ceil(layers / across)), per = Math.max(1, Math.ceil(layers / bands));
    const step = 34, column = 118, band = Math.max(...rows) * step + 52 + 15 * 2 * (bands > 1), width = column * per + 96;
    const place = (layer, unit, row) => [48 + column * (layer - row * per), row * band + 14 + step * (unit + 0.5 + (Math.max(...rows) - rows[layer]) / 2)];
    svg.setAttribute("viewBox", `0 0 ${width} ${bands * band}`);
    svg.setAttribute("style", `max-width: ${width}px`);
    const edges = [];
    for (let layer = 0; layer < layers; layer++) {
      edges.push([]);
      const row = Math.floor(layer / per);
      for (let to = 0; to < shown[layer + 1]; to++) for (let from = 0; from < shown[layer]; from++) {
        const [x1, y1] = place(layer, from, row), [x2, y2] = place(layer + 1, to, row);
        edges[layer].push({ line: make(svg, "line", { x1, y1, x2, y2, class: "edge" }), index: to * widths[layer] + from });
      }
    }
    for (let row = 0; row < bands; row++) for (let layer = row * per; layer <= Math.min(layers, (row + 1) * per); layer++) units(layer, row);
    function units(layer, row) {
      const count = widths[layer], kind = layer === 0 ? "input" : layer === layers ? "output" : "hidden";
      for (let unit = 0; unit < shown[layer]; unit++) {
        const [cx, cy] = place(layer, unit, row);
        make(svg, "circle", { cx, cy, r: 11, class: `unit ${kind}` });
      }
      if (count > most) { const [x, y] = place(layer, most - 1, row); make(svg, "text", { x, y: y + 4, class: "tick middle" }, `+ ${count - most + 1}`); }
      (captions[layer] || "").split(", ").forEach((line, i) => {
        make(svg, "text", { x: place(layer, 0, row)[0], y: row * band + Math.max(...rows) * step + 30 + 15 * i, class: "tick middle" }, line);
      });
    }
    const made = { svg };
    /* matrices: of each layer its weights, row by row (to, from). */
    made.show = matrices => matrices.forEach((weights, layer) => {
      let largest = 0;
      for (const w of weights) if (Math.abs(w) > largest) largest = Math.abs(w);
      for (const { line, index } of edges[layer]) {
        const share = largest ? weights[index] / largest : 0;
        line.setAttribute("stroke-width", (4 * Math.abs(share)).toFixed(2));
        line.style.stroke = series(share < 0 ? 0 : 1);
      }
    });
    made.label = text => svg.setAttribute("aria-label", text);
    return made;
  }

  /* What the colours of `series` are called. */
  const words = ["blue", "orange", "green", "pink", "olive", "light blue", "violet", "grey"];
  return { make, follow, brief, chart, legend, plane, network, series, words, ticks, powers, texts };
})();
