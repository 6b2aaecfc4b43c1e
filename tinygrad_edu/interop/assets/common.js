// What stands around the generated functions.
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

const flat = data => ({data, shape: [data.length]});
const typed = x => ({data: new (x.whole ? Int32Array : Real)(x.data), shape: x.shape});

// Every size by its name, from the shapes of what the program is given.
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

// The arguments of a generated function: each array and its sizes, each number.
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

// A function of rows X: the outputs of the network and of its hidden layers. array_of says where each array lies now.
function evaluator(array_of) {
    let room = new Real(0);
    return X => {
        const x = as_rows(X, program.data[0].shape, program.data[0].whole, "X"), p = program.predict;
        const values = {x: {data: x.data, shape: [x.rows, ...x.row]}}, known = {x: [x.rows, ...x.row]};
        for (const [name, kind, i] of p.captured) {
            values[name] = array_of(kind, i);
            known[name] = values[name].shape;
        }
        const s = sizes_of(p.sizes, known, program.predict_fits, `${x.rows} samples`);
        if (room.length < program.predict_room(s)) {
            room = new Real(program.predict_room(s));
        }
        values.work = flat(room);
        values.results = flat(new Real(1));
        const shapes = program.predict_shapes(s), found = p.results.map((_, i) => ({shape: shapes[i], data: new Real(count(shapes[i]))}));
        p.results.forEach((name, i) => { values[name] = found[i]; });
        outputs_of(...spread(p.parameters, values));
        return found;
    };
}

const named = found => found.slice(1).map((x, i) => Object.assign({name: program.predict.hidden[i]}, x));
