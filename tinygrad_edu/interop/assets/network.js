// Memory for one network that trains, its data, its settings.
function create(weights = program.weights) {
    const arrays = weights.map((given, i) => {
        const {shape, data} = as_array(given, Real), own = program.info.parameters[i].shape;
        return {data, shape: data.length === count(own) && shape.length !== own.length ? own : shape};
    });
    if (arrays.length !== program.info.parameters.length) {
        throw new RangeError(`${arrays.length} arrays of weights for ${program.info.parameters.length} parameters`);
    }
    const shapes = arrays.map(x => x.shape), total = shapes.reduce((sum, shape) => sum + count(shape), 0);
    const state = new Real((1 + program.starts.length) * total), gradient = new Real(total), saved = new Real(state.length);
    const cut = memory => {
        let at = 0;
        return shapes.map(shape => memory.subarray(at, at += count(shape)));
    };
    const kept = program.given.map(typed), constants = program.constants.map(typed);
    const generators = program.generators.map(x => new Generator(BigInt(x.state), BigInt(x.inc)));
    const sources = program.masks.map(mask => generators[mask.generator]);
    const first = {kept: kept.map(x => x.data.slice()), generators: generators.map(x => x.point())};
    let work = new Real(0), whole = new Int32Array(0);

    // The shape of everything that the program is given, with so many samples; then every size by its name.
    function shapes_for(rows, data) {
        const known = {};
        program.info.parameters.forEach((p, i) => { known[p.variable] = shapes[i]; });
        program.given.forEach(x => { known[x.variable] = x.shape; });
        program.data.forEach((x, i) => { known[x.variable] = [rows, ...data[i].row]; });
        return known;
    }

    const views = cut(state);
    const evaluate = evaluator((kind, i) => ({parameter: {data: views[i], shape: shapes[i]}, given: kept[i], constant: constants[i]})[kind]);
    const rule_at_start = () => program.rule && Float64Array.of(NaN, program.rule[0], Number.MAX_VALUE, 0, program.rule[1]);
    const net = {
        shapes,
        weights: views,
        statistics: kept.map(x => x.data),
        gradients: cut(gradient),
        settings: Object.assign({}, program.info.settings, program.rate ? {lr: program.rate} : {}),
        batchSize: program.info.batchSize,
        steps: 0,
        stopped: "",
        rule: rule_at_start(),
        norms: new Float64Array(0),
        changes: new Float64Array(0),

        // Whole epochs; the mean loss of each. order: for each epoch the numbers of all samples, one after another.
        // A stopping rule ends it early (stopped is "rule"); the next call begins it anew.
        train(X, y, epochs = 1, order = null) {
            if (!program.rule) {
                return this.run(X, y, epochs, order);
            }
            if (this.stopped === "rule") {
                this.rule = rule_at_start();
            }
            const losses = [], norms = [], changes = [];
            this.stopped = "";
            for (let epoch = 0, size = order === null ? 0 : order.length / epochs; epoch < epochs && !this.stopped; epoch++) {
                losses.push(...this.run(X, y, 1, order === null ? null : order.slice(epoch * size, (epoch + 1) * size)));
                norms.push(...this.norms);
                changes.push(...this.changes);
                this.stopped = this.stopped || (program.stops(this.rule, losses[losses.length - 1]) ? "rule" : "");
            }
            [this.norms, this.changes] = [Float64Array.from(norms), Float64Array.from(changes)];
            return Float64Array.from(losses);
        },

        // The same without a rule.
        run(X, y, epochs, order) {
            const data = [X, y].map((x, i) => as_rows(x, program.data[i].shape, program.data[i].whole, "Xy"[i]));
            const rows = data[0].rows, batch = Math.min(this.batchSize || rows, rows);
            if (data[1].rows !== rows) {
                throw new RangeError(`X has ${rows} samples and y ${data[1].rows}`);
            }
            if (order !== null && order.length !== epochs * rows) {
                throw new RangeError(`order has ${order.length} numbers: ${epochs} epochs of ${rows} samples need ${epochs * rows}`);
            }
            const sizes = n => sizes_of(program.sizes, shapes_for(n, data), program.fits, `batches of ${n}`);
            const s = sizes(batch);
            sizes(rows % batch || batch);
            const room_of = wanted => batch * program.data.reduce((sum, x, i) => sum + (x.whole === wanted) * count(data[i].row), 0);
            if (work.length < program.room(s) + room_of(false)) {
                work = new Real(program.room(s) + room_of(false));
            }
            if (whole.length < room_of(true)) {
                whole = new Int32Array(room_of(true));
            }
            const steps = epochs * Math.ceil(rows / batch), rates = new Float64Array(steps), lr = this.settings.lr;
            for (let i = 0; i < steps; i++) {
                rates[i] = typeof lr === "function" ? lr(this.steps + i) : lr;
            }
            const [losses, norms, changes] = [0, 0, 0].map(() => new Float64Array(epochs).fill(NaN)), control = new Int32Array(3);
            const values = {
                X: data[0], Y: data[1], batch,
                orders: {data: Int32Array.from(order || []), shape: [epochs, order ? rows : 0]},
                state: {data: state, shape: [1 + program.starts.length, total]},
                saved: {data: saved, shape: [1 + program.starts.length, total]},
                gradient: flat(gradient), work: flat(work), whole: flat(whole),
                sizes: flat(Int32Array.from(program.size_names.map(name => s[name]))), rates: flat(rates),
                settings: flat(Float64Array.from(program.floats.map(name => this.settings[name]))),
                t: this.steps, stopping: flat(new Float64Array(5)),
                losses: flat(losses), norms: flat(norms), changes: flat(changes), control: flat(control),
            };
            program.given.forEach((x, i) => { values[x.variable] = kept[i]; });
            for (const name of program.followed) {
                const x = values[name];
                values[`${name}_kept`] = {data: new x.data.constructor(x.data.length), shape: x.shape};
            }
            program.masks.forEach((mask, i) => { values[`${mask.variable}_rng`] = {data: sources[i], shape: [2]}; });
            const before = generators.map(x => x.point());
            epochs_of(...spread(program.parameters, values));
            const done = control[1], batches = Math.ceil(rows / batch);
            if (done < epochs) {
                generators.forEach((x, i) => x.go_to(before[i]));
            }
            this.steps += done * batches;
            this.stopped = control[2] ? "nan" : "";
            this.norms = norms.subarray(0, done);
            this.changes = changes.subarray(0, done);
            return losses.subarray(0, control[2] ? done + 1 : done);
        },

        evaluate,
        predict: X => evaluate(X)[0].data,
        activations: X => named(evaluate(X)),

        snapshot() {
            return {rule: this.rule && this.rule.slice(), state: state.slice(), kept: kept.map(x => x.data.slice()), steps: this.steps, generators: generators.map(x => x.point())};
        },

        restore(point) {
            state.set(point.state);
            this.rule = point.rule && point.rule.slice();
            point.kept.forEach((x, i) => { kept[i].data.set(x); });
            generators.forEach((x, i) => x.go_to(point.generators[i]));
            this.steps = point.steps;
        },

        // Weights, memories, running statistics and random numbers as before the first step.
        reset(weights = arrays) {
            kept.forEach((x, i) => { x.data.set(first.kept[i]); });
            generators.forEach((x, i) => x.go_to(first.generators[i]));
            this.weights.forEach((own, i) => own.set(weights[i].data || weights[i]));
            program.starts.forEach((x, k) => state.fill(x === "lr" ? this.settings.lr : x, (k + 1) * total, (k + 2) * total));
            this.steps = 0;
            this.stopped = "";
            this.rule = rule_at_start();
        },
    };
    net.reset();
    return net;
}
