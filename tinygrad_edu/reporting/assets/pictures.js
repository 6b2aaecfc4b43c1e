"use strict";
/* The network as a picture: what each unit answers over the plane of the inputs, and edges as wide as their weights. */
const unitPictures = (host, label) => {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  host.append(canvas);
  const stamp = document.createElement("canvas");
  let last = null;

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const rgb = name => { const text = style.getPropertyValue(name).trim().slice(1); return [0, 2, 4].map(i => parseInt(text.slice(i, i + 2), 16)); };
    // of a unit's answer as of a weight, and of the plane's two classes: the second colour is the higher one
    return { low: rgb("--series-1"), high: rgb("--series-2"), card: rgb("--card"), muted: style.getPropertyValue("--muted"),
      edge: style.getPropertyValue("--box-edge"), negative: style.getPropertyValue("--series-1"), positive: style.getPropertyValue("--series-2") };
  }
  let tint = colours();

  /* layers: [{count, caption, values?: (unit) => {data, step, offset}}], weights: [{data, shape}], side: [columns, rows] of the plane, or of the line of one input. */
  function draw() {
    if (!last) return;
    const { layers, weights, side } = last, ratio = devicePixelRatio || 1;
    const width = Math.max(240, host.clientWidth || 320), most = Math.max(...layers.map(layer => layer.count));
    const column = width / layers.length, box = Math.max(9, Math.min(34, column * 0.55)), step = Math.min(box + 8, Math.max(box * 1.12, 380 / most));
    const height = most * step + 44;
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const at = (layer, unit) => [column * (layer + 0.5), 8 + step * (unit + 0.5 + (most - layers[layer].count) / 2)];
    weights.forEach(({ data, shape: [to, from] }, k) => {
      let largest = 0;
      for (const w of data) if (Math.abs(w) > largest) largest = Math.abs(w);
      for (let i = 0; i < to; i++) for (let j = 0; j < from; j++) {
        const share = largest ? Math.abs(data[i * from + j]) / largest : 0;
        if (share < 0.02) continue;
        pen.strokeStyle = data[i * from + j] < 0 ? tint.negative : tint.positive;
        pen.lineWidth = 4 * share;
        pen.globalAlpha = 0.75;
        const [x1, y1] = at(k, j), [x2, y2] = at(k + 1, i);
        pen.beginPath(); pen.moveTo(x1, y1); pen.lineTo(x2, y2); pen.stroke();
      }
    });
    pen.globalAlpha = 1;
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "center";
    layers.forEach((layer, k) => {
      for (let unit = 0; unit < layer.count; unit++) {
        const [x, y] = at(k, unit);
        if (layer.values) pen.drawImage(picture(layer.values(unit), side), x - box / 2, y - box / 2, box, box);
        else { pen.fillStyle = `rgb(${tint.card.join(" ")})`; pen.fillRect(x - box / 2, y - box / 2, box, box); }
        pen.strokeStyle = tint.edge;
        pen.lineWidth = 1;
        pen.strokeRect(x - box / 2, y - box / 2, box, box);
      }
      pen.fillStyle = tint.muted;
      pen.save();
      let text = layer.caption;
      while (text.length > 3 && pen.measureText(text).width > column - 4) text = `${text.slice(0, -2).trimEnd()}…`;
      pen.fillText(text, column * (k + 0.5), height - 10);
      pen.restore();
    });
  }
  function picture({ data, step, offset }, [columns, rows]) {
    stamp.width = columns;
    stamp.height = rows;
    const pen = stamp.getContext("2d"), image = pen.createImageData(columns, rows);
    let largest = 1e-12;
    for (let i = 0, at = offset; i < columns * rows; i++, at += step) if (Math.abs(data[at]) > largest) largest = Math.abs(data[at]);
    for (let i = 0, at = offset; i < columns * rows; i++, at += step) {
      const v = data[at] / largest, colour = v < 0 ? tint.low : tint.high, share = Math.abs(v) * 0.8;
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = tint.card[c] + (colour[c] - tint.card[c]) * share;
      image.data[4 * i + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
    return stamp;
  }
  const again = () => { tint = colours(); draw(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  plots.follow(host, draw);
  return { show(found) { last = found; canvas.setAttribute("aria-label", label(found)); draw(); } };
};
