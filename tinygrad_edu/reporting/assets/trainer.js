"use strict";
/* A network that trains as tg.fit does, put together of the generated functions in `kernels`: what stands here moves
   arrays between them, and computes nothing that the library's table declares. `Generator` is NumPy's. */
const trainer = (() => {
  let room = new Float64Array(64);
  const results = { data: new Float64Array(1), shape: [1] };
  const array = shape => ({ data: new Float64Array(shape.reduce((a, b) => a * b, 1)), shape });

  /* One kernel on arrays {data, shape} and numbers, by the names of its parameters. */
  function call(name, values) {
    const kernel = kernels[name], sizes = {}, given = [];
    for (const [size, parameter, axis] of kernel.sizes) sizes[size] = values[parameter].shape[axis];
    const wanted = kernel.room(sizes);
    if (room.length < wanted) room = new Float64Array(wanted);
    for (const [parameter, axes] of kernel.parameters) {
      const x = parameter === "work" ? { data: room, shape: [room.length] } : parameter === "results" ? results : values[parameter];
      if (axes < 0) given.push(x); else given.push(x.data, ...x.shape);
    }
    kernel.run(...given);
  }

  /* plan: {features, layers: [{units, activation}], loss, optimizer, lr, settings, schedule: {name, parameters}, init, seed}
     known: what Python says of each name. */
  function create(plan, known) {
    const widths = [plan.features, ...plan.layers.map(layer => layer.units)], optimizer = known.optimizers[plan.optimizer];
    const shapes = plan.layers.flatMap((_, k) => [[widths[k + 1], widths[k]], [widths[k + 1]]]);
    const total = shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0), memories = optimizer.starts.length;
    const state = new Float64Array((1 + memories) * total), gradient = new Float64Array(total), saved = new Float64Array(state.length);
    const settings = { ...optimizer.settings, ...plan.settings };
    const cut = (memory, at = 0) => shapes.map(shape => {
      const size = shape.reduce((a, b) => a * b, 1);
      return { data: memory.subarray(at, at += size), shape };
    });
    const weights = cut(state), gradients = cut(gradient), vector = k => ({ data: state.subarray(k * total, (k + 1) * total), shape: [total] });
    const begin = Generator.of_seed(plan.seed);
    plan.layers.forEach((_, k) => {
      const bound = known.init[plan.init][widths[k] - 1][widths[k + 1] - 1], weight = weights[2 * k].data;
      if (bound) for (let i = 0; i < weight.length; i++) weight[i] = -bound + 2 * bound * begin.random();
    });

    const vectors = { w: vector(0), g: { data: gradient, shape: [total] }, m0: vector(1), m1: vector(2), m2: vector(3) };
    const one = { t: { data: new Float64Array(1), shape: [1] }, result: { data: new Float64Array(1), shape: [1] } };
    function rateAt(step) {
      one.t.data[0] = step;
      call(`rates_${plan.schedule.name}`, { ...one, lr: plan.lr, ...plan.schedule.parameters });
      return one.result.data[0];
    }
    optimizer.starts.forEach((start, k) => state.fill(start === "lr" ? rateAt(0) : start, (k + 1) * total, (k + 2) * total));

    /* Arrays for batches of so many rows, made once. */
    const rooms = new Map();
    function roomOf(rows) {
      if (!rooms.has(rows)) {
        if (rooms.size > 4) rooms.clear();
        rooms.set(rows, plan.layers.map((layer, k) => ({
          x: array([rows, widths[k]]), z: array([rows, layer.units]), y: array([rows, layer.units]),
          up: array([rows, layer.units]), d_z: array([rows, layer.units]), d_x: array([rows, widths[k]]),
        })));
      }
      return rooms.get(rows);
    }
    function forward(x, rows) {
      const own = roomOf(rows);
      plan.layers.forEach(({ activation }, k) => {
        own[k].x = k ? own[k - 1].y : x;
        call("forward_affine", { x: own[k].x, weight: weights[2 * k], bias: weights[2 * k + 1], result: own[k].z });
        if (activation === "identity") own[k].y = own[k].z;
        else call(`forward_${activation}`, { z: own[k].z, result: own[k].y });
      });
      return own;
    }
    function backward(own, up) {
      for (let k = plan.layers.length - 1; k >= 0; k--) {
        const { activation } = plan.layers[k];
        let d_z = up;
        if (activation !== "identity") call(`backward_${activation}`, { z: own[k].z, up, d_z: d_z = own[k].d_z });
        call("backward_affine", { x: own[k].x, weight: weights[2 * k], bias: weights[2 * k + 1], up: d_z,
          d_x: own[k].d_x, d_weight: gradients[2 * k], d_bias: gradients[2 * k + 1] });
        up = own[k].d_x;
      }
    }
    function rowsOf(source, order, from, rows, into) {
      const width = source.shape[1];
      if (!order) return { data: source.data.subarray(from * width, (from + rows) * width), shape: [rows, width] };
      for (let i = 0; i < rows; i++) {
        const at = order[from + i] * width;
        for (let j = 0; j < width; j++) into.data[i * width + j] = source.data[at + j];
      }
      return into;
    }
    const gathered = new Map();
    const place = (rows, width, name) => {
      const key = `${name} ${rows} ${width}`;
      if (!gathered.has(key)) gathered.set(key, array([rows, width]));
      return gathered.get(key);
    };

    const net = {
      widths, weights, gradients, steps: 0, norm: NaN, lr: rateAt(0),
      /* One epoch: the mean loss; what is not finite leaves everything as before. order: of the samples, or null. */
      epoch(X, T, batch, order) {
        const n = X.shape[0];
        let sum = 0;
        saved.set(state);
        const before = this.steps;
        for (let from = 0; from < n; from += batch) {
          const rows = Math.min(batch, n - from), x = rowsOf(X, order, from, rows, place(rows, X.shape[1], "x"));
          const target = rowsOf(T, order, from, rows, place(rows, T.shape[1], "t"));
          const own = forward(x, rows), last = own.at(-1);
          call(`loss_${plan.loss}`, { output: last.y, target, d_output: last.up });
          sum += results.data[0] * rows;
          backward(own, last.up);
          this.lr = rateAt(this.steps);
          this.steps += 1;
          call(`update_${plan.optimizer}`, { ...vectors, ...settings, t: this.steps, lr: this.lr });
        }
        const loss = sum / n;
        if (!Number.isFinite(loss)) {
          state.set(saved);
          this.steps = before;
        }
        let squares = 0;
        for (const g of gradient) squares += g * g;
        this.norm = Math.sqrt(squares);
        return loss;
      },
      /* The mean loss of rows that are not trained on. */
      loss(X, T) {
        const last = forward(X, X.shape[0]).at(-1);
        call(`loss_${plan.loss}`, { output: last.y, target: T, d_output: last.up });
        return results.data[0];
      },
      snapshot: () => state.slice(),
      restore: kept => state.set(kept),
      /* z and y of every layer for rows of X, valid until the next call. */
      layers: X => forward(X, X.shape[0]),
    };
    return net;
  }
  return { call, create, array };
})();
