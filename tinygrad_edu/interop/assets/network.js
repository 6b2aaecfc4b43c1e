// What stands around the generated functions: memory for one network, its data, its settings.
// `program` is written by tinygrad_edu: names, shapes, sizes and how the two entries are called.
const Real = program.info.dtype === "float32" ? Float32Array : Float64Array;
const count = shape => shape.reduce((a, b) => a * b, 1);

// An array from {shape, data}, from a typed array or from lists in lists.
function as_array(given, Kind) {
    if (given && given.data !== undefined && given.shape !== undefined) {
        return {shape: Array.from(given.shape), data: Kind.from(given.data)};
    }
    if (ArrayBuffer.isView(given)) {
        return {shape: [given.length], data: Kind.from(given)};
    }
    const shape = [];
    for (let x = given; Array.isArray(x); x = x[0]) {
        shape.push(x.length);
    }
    return {shape, data: Kind.from(shape.length ? given.flat(Infinity) : [given])};
}

// Samples as rows; how many there are follows from the shape of one.
function as_rows(given, shape, whole, name) {
    const Kind = whole ? Int32Array : Real;
    if (given && given.data instanceof Kind && given.rows !== undefined) {
        return given;
    }
    const {data, shape: own} = as_array(given, Kind), row = own.length === shape.length + 1 ? own.slice(1) : shape;
    const size = count(row), rows = data.length / size;
    if (!Number.isInteger(rows) || rows === 0) {
        throw new RangeError(`${name} holds ${data.length} numbers: rows of ${size} are needed, at least one`);
    }
    return {data, rows, row, shape: [rows, size]};
}

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
    const typed = x => ({data: new (x.whole ? Int32Array : Real)(x.data), shape: x.shape});
    const kept = program.given.map(typed), constants = program.constants.map(typed);
    const generators = program.generators.map(x => new Generator(BigInt(x.state), BigInt(x.inc)));
    const sources = program.masks.map(mask => generators[mask.generator]);
    let work = new Real(0), room = new Real(0), whole = new Int32Array(0);

    // The shape of everything that the program is given, with so many samples; then every size by its name.
    function shapes_for(rows, data) {
        const known = {};
        program.info.parameters.forEach((p, i) => { known[p.variable] = shapes[i]; });
        program.given.forEach(x => { known[x.variable] = x.shape; });
        program.data.forEach((x, i) => { known[x.variable] = [rows, ...data[i].row]; });
        return known;
    }

    function sizes_of(names, known, fits, what) {
        const s = {};
        for (const [name, array, axis] of names) {
            s[name] = known[array][axis];
        }
        if (!fits(s)) {
            throw new RangeError(`the program was not made for ${what} or for layers of these widths`);
        }
        return s;
    }

    function spread(parameters, values) {
        const given = [];
        for (const [name, axes] of parameters) {
            const x = values[name];
            if (axes < 0) {
                given.push(x.data ? x.data[0] : x);
            } else {
                given.push(x.data, ...x.shape);
            }
        }
        return given;
    }

    const flat = data => ({data, shape: [data.length]});
    const net = {
        shapes,
        weights: cut(state),
        gradients: cut(gradient),
        settings: Object.assign({}, program.info.settings),
        batchSize: program.info.batchSize,
        steps: 0,
        stopped: "",
        norms: new Float64Array(0),
        changes: new Float64Array(0),

        // Whole epochs; the mean loss of each. order: for each epoch the numbers of all samples, one after another.
        train(X, y, epochs = 1, order = null) {
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

        // The outputs of the network and of its hidden layers for rows of X.
        evaluate(X) {
            const x = as_rows(X, program.data[0].shape, program.data[0].whole, "X"), p = program.predict;
            const values = {x: {data: x.data, shape: [x.rows, ...x.row]}}, known = {};
            p.captured.forEach(([name, kind, i]) => {
                const own = {data: this.weights[i], shape: shapes[i]};
                values[name] = kind === "parameter" ? own : kind === "given" ? kept[i] : constants[i];
                known[name] = values[name].shape;
            });
            known.x = values.x.shape;
            const s = sizes_of(p.sizes, known, program.predict_fits, `${x.rows} samples`);
            if (room.length < program.predict_room(s)) {
                room = new Real(program.predict_room(s));
            }
            values.work = flat(room);
            values.results = flat(new Real(1));
            const shapes_found = program.predict_shapes(s);
            const found = p.results.map((name, i) => {
                values[name] = {shape: shapes_found[i], data: new Real(count(shapes_found[i]))};
                return values[name];
            });
            outputs_of(...spread(p.parameters, values));
            return found;
        },

        predict(X) {
            return this.evaluate(X)[0].data;
        },

        activations(X) {
            return this.evaluate(X).slice(1).map((x, i) => Object.assign({name: program.predict.hidden[i]}, x));
        },

        snapshot() {
            return {state: state.slice(), kept: kept.map(x => x.data.slice()), steps: this.steps, generators: generators.map(x => x.point())};
        },

        restore(point) {
            state.set(point.state);
            point.kept.forEach((x, i) => { kept[i].data.set(x); });
            generators.forEach((x, i) => x.go_to(point.generators[i]));
            this.steps = point.steps;
        },

        // Weights and memories as before the first step.
        reset(weights = arrays) {
            this.weights.forEach((own, i) => own.set(weights[i].data || weights[i]));
            program.starts.forEach((x, k) => state.fill(x === "lr" ? this.settings.lr : x, (k + 1) * total, (k + 2) * total));
            this.steps = 0;
        },
    };
    net.reset();
    return net;
}
