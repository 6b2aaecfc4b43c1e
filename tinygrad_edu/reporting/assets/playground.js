"use strict";
(() => {
  const { known, usual, widest, datasets } = JSON.parse(document.getElementById("data").textContent);
  const at = id => document.getElementById(id), part = (id, selector) => document.querySelector(`#${id} ${selector}`);
  const SIDE = 40, BUDGET = 14;
  let hidden = [{ units: 8, activation: "tanh" }, { units: 8, activation: "tanh" }];
  let dataset, plan, net, X, targets, y, held, form, orders, epoch, history, stopped, rule, best, playing = false, grid, frames = 0;

  // The choices

  function option(select, value, text = value) {
    const made = document.createElement("option");
    made.value = value;
    made.textContent = text;
    select.append(made);
  }
  function fill(select, names, first = []) {
    const kept = select.value;
    select.replaceChildren();
    const some = first.filter(name => names.includes(name)), rest = names.filter(name => !first.includes(name)).sort();
    if (some.length && rest.length) {
      for (const [label, list] of [["Usual", some], ["All others", rest]]) {
        const group = document.createElement("optgroup");
        group.label = label;
        for (const name of list) option(group, name);
        select.append(group);
      }
    } else for (const name of [...some, ...rest]) option(select, name);
    if (names.includes(kept)) select.value = kept;
  }
  function numberField(host, id, name, value) {
    const label = document.createElement("label"), input = document.createElement("input");
    label.className = "field";
    label.append(name.replaceAll("_", " ").replace(/^./, c => c.toUpperCase()) + " ");
    Object.assign(input, { type: "number", id, step: "any", value: String(value) });
    input.min = "0";
    label.append(input);
    host.append(label);
  }
  const numberOf = (id, otherwise) => { const x = at(id).valueAsNumber; return Number.isFinite(x) && x >= 0 ? x : otherwise; };

  /* A setting as Python takes it; what it would refuse becomes the default, and is shown so. */
  function setting(id, otherwise, limits = {}) {
    const x = numberOf(id, NaN), { above = -Infinity, least = -Infinity, below = Infinity, most = Infinity } = limits;
    if (x > above && x >= least && x < below && x <= most) return x;
    at(id).value = String(otherwise);
    return otherwise;
  }

  function showHidden() {
    const list = at("hidden"), focus = document.activeElement && document.activeElement.id;
    list.replaceChildren();
    hidden.forEach((layer, k) => {
      const item = document.createElement("li"), units = document.createElement("input"), kind = document.createElement("select"), remove = document.createElement("button");
      Object.assign(units, { type: "number", min: "1", max: String(widest), step: "1", value: String(layer.units), id: `units-${k}` });
      units.setAttribute("aria-label", `Units of hidden layer ${k + 1}`);
      units.addEventListener("change", () => { layer.units = Math.round(Math.max(1, Math.min(widest, units.valueAsNumber || 1))); showHidden(); reset(); });
      kind.id = `activation-${k}`;
      kind.setAttribute("aria-label", `Activation of hidden layer ${k + 1}`);
      fill(kind, Object.keys(known.activations), usual);
      kind.value = layer.activation;
      kind.addEventListener("change", () => { layer.activation = kind.value; reset(); });
      Object.assign(remove, { type: "button", textContent: "×" });
      remove.setAttribute("aria-label", `Remove hidden layer ${k + 1}`);
      remove.addEventListener("click", () => { hidden.splice(k, 1); showHidden(); at("add").focus(); reset(); });
      item.append(units, " ", kind, " ", remove);
      list.append(item);
    });
    at("add").disabled = hidden.length >= 6;
    if (focus && at(focus)) at(focus).focus();
  }

  function chooseData() {
    dataset = datasets[Number(at("dataset").value)];
    at("scaled").checked = dataset.startScaled;
    const classes = dataset.classes.length, counts = dataset.y.every(y => y >= 0 && Number.isInteger(y));
    fill(at("loss"), Object.keys(known.losses).filter(name => classes ? known.losses[name].for !== "numbers" : !known.losses[name].classes && known.losses[name].takes.some(kind => kind === "numbers" || counts)));
    at("loss").value = classes > 2 ? "cross_entropy" : classes ? "bce_with_logits" : "mse";
    chooseLoss();
  }
  function chooseLoss() {
    at("output").value = known.losses[at("loss").value].targets === "probabilities" ? "sigmoid" : "identity";
  }
  function chooseOptimizer() {
    const facts = known.optimizers[at("optimizer").value], host = at("optimizer-settings");
    at("lr").value = String(Math.max(facts.lr, facts.lr === 0.001 ? 0.01 : facts.lr));
    host.replaceChildren();
    for (const name of facts.asked) if (name !== "eps") numberField(host, `setting-${name}`, name, facts.settings[name]);
  }
  function chooseSchedule() {
    const host = at("schedule-settings");
    host.replaceChildren();
    for (const [name, value] of Object.entries(known.schedules[at("schedule").value].parameters)) numberField(host, `rate-${name}`, name, value);
  }

  /* What the samples are to be, in the form that the loss takes. */
  function makeTargets(loss) {
    const n = dataset.y.length, classes = dataset.classes.length, kind = known.losses[loss].targets, numbered = kind === "class_numbers";
    if (!classes) return [{ data: Float64Array.from(dataset.y), shape: [n, 1] }, "column"];
    const wide = classes > 2 || numbered, width = wide ? classes : 1, made = trainer.array([n, width]);
    for (let i = 0; i < n; i++) { if (wide) made.data[i * width + dataset.y[i]] = 1; else made.data[i] = dataset.y[i]; }
    if (kind === "plus_or_minus_one") for (let i = 0; i < made.data.length; i++) made.data[i] = 2 * made.data[i] - 1;
    return [made, numbered ? "numbers" : kind === "plus_or_minus_one" ? "signs" : "rows"];
  }

  // The network

  /* Rows of an array, by their numbers. */
  function take({ data, shape: [, width] }, rows) {
    const made = trainer.array([rows.length, width]);
    rows.forEach((row, i) => made.data.set(data.subarray(row * width, (row + 1) * width), i * width));
    return made;
  }
  /* As fit(validation=share): the rows that stay, and those that are held out, each in their order. */
  function split(n, share, seed) {
    const exact = share * n, low = Math.floor(exact), count = exact - low === 0.5 ? low + low % 2 : Math.round(exact);
    const drawn = Generator.of_seed(BigInt(seed) + (2n << 32n)).orders(n), sorted = part => Array.from(part).sort((a, b) => a - b);
    return [sorted(drawn.subarray(count)), sorted(drawn.subarray(0, count))];
  }

  function reset() {
    const optimizer = at("optimizer").value, schedule = at("schedule").value, loss = at("loss").value, seed = Math.min(4294967295, Math.floor(numberOf("seed", 0)));
    const share = Number(at("held").value), whole = { data: Float64Array.from(at("scaled").checked ? dataset.scaled : dataset.X), shape: [dataset.y.length, dataset.features] };
    [X, y, held] = [whole, dataset.y, null];
    [targets, form] = makeTargets(loss);
    const [stay, out] = share ? split(dataset.y.length, share, seed) : [[], []];
    if (out.length && stay.length) {
      held = { X: take(whole, out), targets: take(targets, out), y: out.map(i => dataset.y[i]) };
      [X, targets, y] = [take(whole, stay), take(targets, stay), stay.map(i => dataset.y[i])];
    }
    const n = y.length;
    const settings = {}, parameters = {};
    for (const name of known.optimizers[optimizer].asked) if (at(`setting-${name}`)) {
      const value = setting(`setting-${name}`, known.optimizers[optimizer].settings[name], known.optimizers[optimizer].limits[name]);
      if (value !== known.optimizers[optimizer].settings[name]) settings[name] = value;
    }
    for (const [name, value] of Object.entries(known.schedules[schedule].parameters)) {
      const given = setting(`rate-${name}`, value, known.schedules[schedule].limits[name]);
      parameters[name] = known.whole.includes(name) ? Math.max(1, Math.round(given)) : given;
    }
    plan = { features: dataset.features, layers: [...hidden.map(layer => ({ ...layer })), { units: targets.shape[1], activation: at("output").value }],
      loss, optimizer, lr: numberOf("lr", 0.01), settings, schedule: { name: schedule, parameters }, init: at("init").value, seed, share: held ? share : 0 };
    net = trainer.create(plan, known);
    const size = Math.round(numberOf("batch", 0));
    plan.batch = size >= 1 && size < n ? size : n;
    plan.limit = Math.max(1, Math.round(numberOf("limit", 1000)));
    plan.tol = at("tol").value === "" ? null : numberOf("tol", 0);
    plan.patience = at("patience").value === "" ? 0 : Math.max(1, Math.round(numberOf("patience", 1)));
    rule = plan.tol === null && !plan.patience ? null : Float64Array.of(NaN, plan.tol || 0, Number.MAX_VALUE, 0, plan.patience);
    orders = Generator.of_seed(plan.seed);
    [epoch, history, stopped, best] = [0, { x: [], y: [], held: [] }, "", null];
    makeGrid();
    pause();
    show(true);
  }
  function makeGrid() {
    grid = null;
    if (dataset.features > 2) return;
    const limits = [];
    for (let j = 0; j < dataset.features; j++) {
      let low = Infinity, high = -Infinity;
      for (let i = j; i < X.data.length; i += dataset.features) { low = Math.min(low, X.data[i]); high = Math.max(high, X.data[i]); }
      const room = (high - low || 1) * 0.08;
      limits.push([low - room, high + room]);
    }
    const share = k => k / (SIDE - 1), along = ([low, high], t) => low + (high - low) * t;
    if (dataset.features === 1) {
      const made = trainer.array([121, 1]);
      for (let i = 0; i < 121; i++) made.data[i] = along(limits[0], i / 120);
      grid = { limits, X: made };
      return;
    }
    const made = trainer.array([SIDE * SIDE, 2]);
    for (let i = 0; i < SIDE; i++) for (let j = 0; j < SIDE; j++) {
      made.data[2 * (i * SIDE + j)] = along(limits[0], share(j));
      made.data[2 * (i * SIDE + j) + 1] = along(limits[1], 1 - share(i));
    }
    grid = { limits, X: made };
  }

  /* One epoch, and why there is no further one. */
  function train() {
    if (stopped) return;
    const loss = net.epoch(X, targets, plan.batch, plan.batch < X.shape[0] ? orders.orders(X.shape[0]) : null);
    if (!Number.isFinite(loss)) {
      stopped = `stopped in epoch ${epoch + 1}: the loss became NaN or infinite; the model is as after epoch ${epoch}; try a smaller learning rate than ${plots.brief(net.lr)}`;
      return;
    }
    epoch += 1;
    history.x.push(epoch);
    history.y.push(loss);
    const watched = held ? net.loss(held.X, held.targets) : loss, curve = held ? history.held : history.y;
    if (held) {
      history.held.push(watched);
      if (plan.patience && (!best || watched < best.loss)) best = { loss: watched, epoch, state: net.snapshot() };
    }
    if (rule && kernels.stops(rule, 0, watched)) {
      stopped = plan.patience ? `stopped after ${epoch} epochs: the ${held ? "validation loss" : "loss"} improved by less than ${plots.brief(plan.tol || 0)} (relative) for ${plan.patience} epochs in a row`
        : `converged after ${epoch} epochs: the loss changed by ${plots.brief(Math.abs(watched - curve.at(-2)))}, at most ${plots.brief(plan.tol)} of itself`;
    } else if (epoch >= plan.limit) stopped = `all ${epoch} epochs done`;
    if (stopped && best && best.epoch !== epoch) {
      net.restore(best.state);
      stopped += `; the weights are those of epoch ${best.epoch}, the best by validation (${plots.brief(best.loss)})`;
    }
  }

  // The pictures

  const lossChart = plots.chart(part("losses", ".frame"), { xLabel: "epoch" });
  const network = unitPictures(part("network", ".frame"), ({ layers, weights }) => `Network ${layers.map(layer => layer.count).join("-")}; largest weight of each layer ${weights.map(w => plots.brief(w.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0))).join(", ")}`);
  let plane = null, line = null;

  function answerPictures() {
    const host = part("answers", ".frame"), note = part("answers", ".note");
    host.replaceChildren();
    [plane, line] = [null, null];
    if (dataset.features === 1) {
      line = plots.chart(host, { xLabel: "feature", log: false, xLimits: grid.limits[0], height: 280 });
      note.textContent = "Line: its answer. Dots: the samples.";
    } else if (dataset.features === 2) {
      plane = plots.plane(host, { x: grid.limits[0], y: grid.limits[1], side: SIDE, points: points(), names: ["feature 1", "feature 2"] });
      note.textContent = dataset.classes.length ? `Colours: the predicted class, deeper where the network is more certain. Classes: ${dataset.classes.map((name, k) => k < 8 ? `${name} ${plots.words[k]}` : name).join(", ")}.${held ? " Rings: held out." : ""}` : "Colours: its answer, from low (blue) to high (orange). Dots: the samples.";
    } else note.textContent = `${dataset.features} features: there is no plane to draw. ${dataset.classes.length ? "The number of right answers" : "How far the answers are off"} is above.`;
  }
  function points() {
    const found = [], [low, high] = bounds();
    for (const [samples, labels, ring] of [[X, y, false], ...(held ? [[held.X, held.y, true]] : [])]) {
      const step = Math.max(1, Math.ceil(labels.length / 500));
      for (let i = 0; i < labels.length; i += step) {
        const where = { x: samples.data[2 * i], y: samples.data[2 * i + 1], ring };
        found.push(dataset.classes.length ? { ...where, kind: labels[i] } : { ...where, value: (2 * labels[i] - low - high) / (high - low || 1) });
      }
    }
    return found;
  }
  const bounds = () => [Math.min(...dataset.y), Math.max(...dataset.y)];

  /* Outputs in the unit of the targets: a loss of numbers may take another one, as poisson takes the logarithm. */
  function inUnit(z) {
    const { link } = known.losses[plan.loss];
    if (dataset.classes.length || link === "identity") return z;
    const made = trainer.array(z.shape);
    trainer.call(`forward_${link}`, { z, result: made });
    return made;
  }

  /* An output as a number from -1 to 1, or the class and how sure it is, packed for plots.plane. */
  function cell(y, i, width) {
    if (width > 1) {
      let best = 0, second = -Infinity;
      for (let j = 1; j < width; j++) if (y[i * width + j] > y[i * width + best]) best = j;
      for (let j = 0; j < width; j++) if (j !== best && y[i * width + j] > second) second = y[i * width + j];
      return 10 + best + 0.999 * Math.tanh((y[i * width + best] - second) / 2);
    }
    if (!dataset.classes.length) { const [low, high] = bounds(); return Math.max(-1, Math.min(1, (2 * y[i] - low - high) / (high - low || 1))); }
    const value = known.losses[plan.loss].link === "sigmoid" ? Math.tanh(y[i] / 2) : form === "signs" ? y[i] : 2 * y[i] - 1;
    return Math.max(-1, Math.min(1, value));
  }

  function score() {
    const given = inUnit(net.layers(X).at(-1).y), width = given.shape[1], n = given.shape[0];
    at("score-name").textContent = dataset.classes.length ? "Correct" : "Off by (RMS)";
    if (!dataset.classes.length) {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += (given.data[i] - y[i]) ** 2;
      return plots.brief(Math.sqrt(sum / n));
    }
    let right = 0;
    for (let i = 0; i < n; i++) { const c = cell(given.data, i, width); right += (width > 1 ? Math.floor(c - 10) : Number(c > 0)) === y[i]; }
    return `${right} of ${n}`;
  }

  function show(all) {
    frames += 1;
    at("epoch").textContent = String(epoch);
    at("loss-now").textContent = epoch ? plots.brief(history.y.at(-1)) : "–";
    if (at("stopped").textContent !== stopped) at("stopped").textContent = stopped;
    const step = Math.max(1, Math.ceil(history.x.length / 500)), kept = (_, i) => i % step === 0 || i === history.x.length - 1;
    const curves = [{ name: "training", x: history.x.filter(kept), y: history.y.filter(kept), colour: plots.series(0) }];
    if (held) curves.push({ name: "held out", x: curves[0].x, y: history.held.filter(kept), colour: plots.series(1), dash: "6 3" });
    lossChart.show(curves);
    if (all) plots.legend(part("losses", ".legend"), held ? curves : []);
    at("held-box").hidden = !held;
    at("held-now").textContent = held && epoch ? plots.brief(history.held.at(-1)) : "–";
    lossChart.label(epoch ? `${plan.loss} over ${epoch} epochs, from ${plots.brief(history.y[0])} to ${plots.brief(history.y.at(-1))}` : "No epoch yet");
    if (all) answerPictures();
    drawAnswers();
    at("score").textContent = score();
    if (all || frames % 15 === 0 || !playing) slow();
  }
  function drawAnswers() {
    const layers = [{ count: dataset.features, caption: "features" }, ...plan.layers.map((layer, k) => ({ count: layer.units, caption: k === plan.layers.length - 1 ? "output" : layer.activation }))];
    if (grid) {
      const own = net.layers(grid.X);
      layers[0].values = unit => ({ data: grid.X.data, step: dataset.features, offset: unit });
      own.forEach(({ y }, k) => { layers[k + 1].values = unit => ({ data: y.data, step: y.shape[1], offset: unit }); });
      if (plane) {
        const { data, shape: [, width] } = inUnit(own.at(-1).y);
        plane.show(Float64Array.from({ length: SIDE * SIDE }, (_, i) => cell(data, i, width)));
        plane.label(`Answers over the two features after ${epoch} epochs`);
      } else if (line) {
        const answer = inUnit(own.at(-1).y);
        const curve = { name: "network", x: grid.X.data, y: Array.from(answer.data.filter((_, i) => i % answer.shape[1] === 0)), colour: plots.series(0) };
        line.show([{ name: "samples", x: X.data, y, colour: plots.series(1), dots: true }, curve]);
        line.label(`Answer along the feature after ${epoch} epochs`);
      }
    }
    network.show({ layers, weights: net.weights.filter((_, k) => k % 2 === 0), side: dataset.features === 1 ? [121, 1] : [SIDE, SIDE] });
    part("network", ".note").textContent = grid ? "Each picture: what the unit gives over the features. Orange is above 0 and blue below 0, in the pictures as for the weights on the edges." : "Edges: orange for weights above 0, blue below 0; the wider, the larger within their layer.";
  }
  /* What need not be new in each picture. */
  function slow() {
    at("norm").textContent = epoch ? `Norm of the last gradient ${plots.brief(net.norm)}, learning rate ${plots.brief(net.lr)}.` : "";
    const host = part("certain", "ul"), found = certainOf(plan, net, X, targets, known);
    host.replaceChildren();
    for (const { code, text } of found.length ? found : [{ code: "", text: "Nothing: no cause can be seen without training." }]) {
      const item = document.createElement("li"), name = document.createElement("code");
      name.textContent = code;
      item.append(...(code ? [name, " "] : []), text);
      host.append(item);
    }
    part("program", "code").textContent = program();
  }
  const program = () => pythonOf(plan, { dataset, scaled: at("scaled").checked, known, batch: plan.batch < X.shape[0] ? plan.batch : 0,
    epochs: epoch || plan.limit, tol: plan.tol, patience: plan.patience, form, last: epoch ? history.y.at(-1) : null });

  // Play

  function tick() {
    if (!playing) return;
    const speed = Number(at("speed").value), start = performance.now();
    let done = 0;
    do { train(); done += 1; } while (!stopped && (speed ? done < speed : performance.now() - start < BUDGET));
    if (stopped) pause();
    show(false);
    if (playing) requestAnimationFrame(tick);
  }
  function pause() {
    playing = false;
    at("play").textContent = "Play";
    at("play").setAttribute("aria-pressed", "false");
  }
  function toggle() {
    if (playing) { pause(); slow(); return; }
    if (stopped) reset();
    playing = true;
    at("play").textContent = "Pause";
    at("play").setAttribute("aria-pressed", "true");
    requestAnimationFrame(tick);
  }

  datasets.forEach(({ title }, k) => option(at("dataset"), String(k), title));
  fill(at("output"), Object.keys(known.activations), usual);
  fill(at("init"), Object.keys(known.init), ["glorot_uniform"]);
  fill(at("optimizer"), Object.keys(known.optimizers), ["SGD", "Adam", "AdamW", "RMSprop"]);
  fill(at("schedule"), Object.keys(known.schedules), ["constant"]);
  at("init").value = "glorot_uniform";
  at("optimizer").value = "Adam";
  at("schedule").value = "constant";
  const changes = { dataset: chooseData, loss: chooseLoss, optimizer: chooseOptimizer, schedule: chooseSchedule };
  at("settings").addEventListener("change", event => {
    if (event.target.closest("#hidden")) return;
    if (changes[event.target.id]) changes[event.target.id]();
    reset();
  });
  at("settings").addEventListener("submit", event => event.preventDefault());
  at("file").addEventListener("change", async event => {
    event.stopPropagation();
    const file = at("file").files[0], said = at("file-said");
    if (!file) return;
    try {
      if (file.size > csvFile.BYTES) throw new Error(`${file.name} has ${Math.round(file.size / 1e6)} MB: up to 5 are read.`);
      datasets.push(csvFile.read(file.name, csvFile.decode(file.name, await file.arrayBuffer()), widest));
    } catch (error) { said.textContent = error.message; return; }
    const { y: { length }, features } = datasets.at(-1);
    said.textContent = `${csvFile.count(length, "sample")} of ${csvFile.count(features, "feature")}.`;
    option(at("dataset"), String(datasets.length - 1), file.name.slice(0, 60));
    at("dataset").value = String(datasets.length - 1);
    chooseData();
    reset();
  });
  at("add").addEventListener("click", () => { hidden.push({ units: 4, activation: hidden.length ? hidden.at(-1).activation : "tanh" }); showHidden(); reset(); });
  at("play").addEventListener("click", toggle);
  at("one").addEventListener("click", () => { pause(); train(); show(false); });
  at("reset").addEventListener("click", reset);
  at("copy").addEventListener("click", async () => {
    const code = part("program", "code");
    getSelection().selectAllChildren(code);
    let done = true;
    try { await navigator.clipboard.writeText(code.textContent); } catch { done = false; }
    at("copied").textContent = done ? "Copied." : "Selected: press Ctrl+C to copy it.";
  });
  at("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([part("program", "code").textContent], { type: "text/x-python" }));
    link.download = "playground.py";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  document.addEventListener("keydown", event => {
    if (event.key !== " " || event.target.closest("input, select, button, summary, pre") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    toggle();
  });
  showHidden();
  chooseOptimizer();
  chooseSchedule();
  chooseData();
  reset();
})();
