"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = id => document.getElementById(id), part = (id, selector) => document.querySelector(`#${id} ${selector}`);
  const { frames, ground, curves } = data, slider = at("epoch"), play = at("play");
  let now = 0, timer = 0;

  const known = list => list.map(x => x === null ? NaN : x);
  const lossCurves = Object.entries(curves).filter(([, curve]) => curve.x.length)
    .map(([name, curve], k) => ({ name, x: curve.x, y: known(curve.y), colour: plots.series(k), dash: k ? "6 3" : "" }));
  const loss = plots.chart(part("losses", ".frame"), { xLabel: "epoch" });
  loss.show(lossCurves);
  loss.label(`${data.loss} over the epochs: ${lossCurves.map(c => `${c.name} from ${plots.brief(c.y[0])} to ${plots.brief(c.y.at(-1))}`).join("; ")}`);
  plots.legend(part("losses", ".legend"), lossCurves);
  part("losses", "h2").textContent = `Loss (${data.loss})`;

  const layers = Object.keys(frames[0].gradients), epochs = frames.map(frame => frame.epoch);
  const lengths = layers.map((name, k) => ({ name, x: epochs, y: known(frames.map(frame => frame.gradients[name] ?? null)),
    colour: plots.series(k), dash: ["", "6 3", "2 2", "8 3 2 3"][Math.floor(k / 8) % 4] }));
  const gradients = plots.chart(part("gradients", ".frame"), { xLabel: "epoch" });
  if (layers.length) {
    gradients.show(lengths);
    gradients.label(`Gradient norm: ${lengths.map(c => `${c.name} from ${plots.brief(c.y[0])} to ${plots.brief(c.y.at(-1))}`).join("; ")}`);
    plots.legend(part("gradients", ".legend"), lengths);
  } else at("gradients").hidden = true;

  const colour = value => ground.classes.length ? { kind: value } : { value };
  const say = answersPicture(), draw = networkPicture();

  function answersPicture() {
    const host = part("answers", ".frame"), note = part("answers", ".note");
    if (ground.kind === "plane") {
      const points = ground.points.map(([x, y, value]) => ({ x, y, ...colour(value) }));
      const picture = plots.plane(host, { x: ground.limits[0], y: ground.limits[1], side: ground.side, points });
      const many = ground.classes.length > 2;
      if (many) {
        const names = document.createElement("ul");
        names.className = "legend";
        note.before(names);
        plots.legend(names, ground.classes.map((name, k) => ({ name: `class ${name}`, colour: plots.series(k), dash: "" })));
      }
      const words = many ? "" : ` (${ground.classes.map((name, k) => `${name} ${plots.words[k]}`).join(", ")})`;
      note.textContent = ground.classes.length ? `Colours: the predicted class${words}, deeper where the network is more certain. Dots: the samples.` : "Colours: its answer, from low (blue) to high (orange). Dots: the samples.";
      return frame => {
        const bytes = Uint8Array.from(atob(frame.cells), c => c.charCodeAt(0));
        picture.show(Float64Array.from(bytes, b => b === 255 ? NaN : many ? 10 + Math.floor(b / ground.levels) + (b % ground.levels) / ground.levels : (b - 127) / 127));
        picture.label(`Predictions of the network over its two inputs after epoch ${frame.epoch}`);
      };
    }
    if (ground.kind === "line") {
      const ys = frames.flatMap(frame => frame.cells).filter(y => y !== null).concat(ground.points.map(p => p[1]));
      const reach = ground.points.map(p => p[1]), low = Math.min(...reach), high = Math.max(...reach), pad = (high - low || 1) * 0.6;
      const limits = [Math.max(low - pad, Math.min(...ys)), Math.min(high + pad, Math.max(...ys))];
      const picture = plots.chart(host, { xLabel: "input", log: false, xLimits: ground.limits[0], yLimits: limits, height: 280 });
      const samples = { name: "samples", x: ground.points.map(p => p[0]), y: reach, colour: plots.series(1), dots: true };
      note.textContent = "Line: its answer. Dots: the samples.";
      return frame => {
        picture.show([samples, { name: "network", x: ground.inputs, y: frame.cells.map(y => y === null || y < limits[0] || y > limits[1] ? NaN : y), colour: plots.series(0) }]);
        picture.label(`Answer of the network along its input after epoch ${frame.epoch}`);
      };
    }
    note.textContent = ground.why;
    return () => {};
  }

  function networkPicture() {
    const host = part("network", ".frame"), note = part("network", ".note");
    if (typeof data.network === "string") { note.textContent = data.network; return () => {}; }
    at("network").classList.toggle("wide", data.network.widths.length > 5); // before its width is asked for
    const picture = plots.network(host, data.network);
    note.textContent = `Edges: orange for weights above 0, blue below 0; the wider, the larger within their layer. ${data.network.shown}`.trim();
    return frame => {
      picture.show(frame.weights);
      picture.label(`Network ${data.network.widths.join("-")}; largest weight of each layer ${frame.weights.map(w => plots.brief(Math.max(...w.map(Math.abs)))).join(", ")}`);
    };
  }

  function lossAt(epoch) {
    const { x, y } = curves.training;
    let best = 0;
    for (let i = 0; i < x.length; i++) if (x[i] <= epoch) best = i;
    return epoch ? y[best] : null;
  }
  function go(to) {
    now = Math.max(0, Math.min(frames.length - 1, to));
    const frame = frames[now], value = lossAt(frame.epoch);
    slider.value = String(now);
    const text = frame.epoch ? `Epoch ${frame.epoch}: loss ${value === null ? "NaN" : plots.brief(value)}` : "Before the first epoch";
    at("said").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    loss.at(Math.max(1, frame.epoch));
    if (layers.length) gradients.at(frame.epoch);
    say(frame);
    draw(frame);
  }
  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
    at("said").setAttribute("aria-live", "polite");
    play.setAttribute("aria-pressed", "false");
  }
  function start() {
    if (now === frames.length - 1) go(0);
    timer = setInterval(() => now >= frames.length - 1 ? stop() : go(now + 1), Number(at("speed").value));
    play.textContent = "Pause";
    at("said").setAttribute("aria-live", "off"); // a reader of screens would never come to the end
    play.setAttribute("aria-pressed", "true");
  }
  const toggle = () => timer ? stop() : start();
  slider.max = String(frames.length - 1);
  slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });
  play.addEventListener("click", toggle);
  at("back").addEventListener("click", () => { stop(); go(now - 1); });
  at("on").addEventListener("click", () => { stop(); go(now + 1); });
  at("speed").addEventListener("change", () => { if (timer) { stop(); start(); } });
  document.addEventListener("keydown", event => {
    if (event.target.matches("select, button") && event.key === " " || event.target.matches("select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === slider && event.key !== " ") return;
    const actions = { " ": toggle, ArrowRight: () => { stop(); go(now + 1); }, ArrowLeft: () => { stop(); go(now - 1); },
      Home: () => { stop(); go(0); }, End: () => { stop(); go(frames.length - 1); } };
    if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
  });
  go(0);
})();
