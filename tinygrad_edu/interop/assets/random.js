// NumPy's default generator: PCG64 (O'Neill 2014, XSL-RR) seeded by SeedSequence. The same numbers, the same orders.
const MASK64 = (1n << 64n) - 1n, MASK128 = (1n << 128n) - 1n, MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645n;

function seed_words(seed) {
    const entropy = [];
    let left = BigInt(seed);
    do {
        entropy.push(Number(left & 0xFFFFFFFFn));
        left >>= 32n;
    } while (left > 0n);
    let constant = 0x43B0D7E5;
    const hash = value => {
        value = (value ^ constant) >>> 0;
        constant = Math.imul(constant, 0x931E8875) >>> 0;
        value = Math.imul(value, constant) >>> 0;
        return (value ^ (value >>> 16)) >>> 0;
    };
    const mix = (x, y) => {
        const mixed = (Math.imul(0xCA01F9DD, x) - Math.imul(0x4973F715, y)) >>> 0;
        return (mixed ^ (mixed >>> 16)) >>> 0;
    };
    const pool = [0, 1, 2, 3].map(i => hash(i < entropy.length ? entropy[i] : 0));
    for (let from = 0; from < 4; from++) {
        for (let to = 0; to < 4; to++) {
            pool[to] = from === to ? pool[to] : mix(pool[to], hash(pool[from]));
        }
    }
    for (const word of entropy.slice(4)) {
        for (let to = 0; to < 4; to++) {
            pool[to] = mix(pool[to], hash(word));
        }
    }
    constant = 0x8B51F9DD;
    return Array.from({length: 8}, (_, i) => {
        let value = (pool[i % 4] ^ constant) >>> 0;
        constant = Math.imul(constant, 0x58F38DED) >>> 0;
        value = Math.imul(value, constant) >>> 0;
        return (value ^ (value >>> 16)) >>> 0;
    });
}

class Generator {
    constructor(state, inc) {
        this.state = state;
        this.inc = inc;
        this.half = null;  // the other 32 bits of the last number, where only 32 were asked for
    }

    static of_seed(seed) {
        const words = seed_words(seed).map(BigInt), long = i => words[2 * i] | (words[2 * i + 1] << 32n);
        const found = new Generator(0n, (((long(2) << 64n | long(3)) << 1n) | 1n) & MASK128);
        found.step();
        found.state = (found.state + (long(0) << 64n | long(1))) & MASK128;
        found.step();
        return found;
    }

    step() {
        this.state = (this.state * MULTIPLIER + this.inc) & MASK128;
    }

    next64() {
        this.step();
        const turn = this.state >> 122n, mixed = (this.state >> 64n) ^ (this.state & MASK64);
        return ((mixed >> turn) | (mixed << (64n - turn))) & MASK64;
    }

    next32() {
        if (this.half !== null) {
            const half = this.half;
            this.half = null;
            return half;
        }
        const next = this.next64();
        this.half = Number(next >> 32n);
        return Number(next & 0xFFFFFFFFn);
    }

    // In [0, 1), as rng.random().
    random() {
        return Number(this.next64() >> 11n) / 9007199254740992;
    }

    // A whole number from 0 to `largest`, each as likely as the other: as many bits as it has, again where they are more.
    integer(largest) {
        const mask = 2 ** (32 - Math.clz32(largest)) - 1;
        for (;;) {
            const drawn = (this.next32() & mask) >>> 0;
            if (drawn <= largest) {
                return drawn;
            }
        }
    }

    // New orders of n samples for so many epochs, as tg.fit draws them with shuffle=True.
    orders(n, epochs = 1) {
        const found = new Int32Array(n * epochs);
        for (let epoch = 0; epoch < epochs; epoch++) {
            const row = found.subarray(epoch * n, (epoch + 1) * n).map((_, i) => i);
            for (let i = n - 1; i > 0; i--) {
                const j = this.integer(i), other = row[j];
                row[j] = row[i];
                row[i] = other;
            }
            found.set(row, epoch * n);
        }
        return found;
    }

    point() {
        return [this.state, this.half];
    }

    go_to(point) {
        [this.state, this.half] = point;
    }
}
