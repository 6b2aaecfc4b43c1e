/* The orders that tg.fit shuffles samples into: NumPy's default generator, PCG64, seeded by SeedSequence. */
static uint64_t shuffler[4];
static uint32_t half;
static int has_half;

static uint32_t hashed(uint32_t value, uint32_t *constant, uint32_t factor)
{
    value ^= *constant;
    *constant *= factor;
    value *= *constant;
    return value ^ (value >> 16);
}

static uint32_t mixed(uint32_t x, uint32_t y)
{
    uint32_t value = 0xCA01F9DDu * x - 0x4973F715u * y;
    return value ^ (value >> 16);
}

static uint64_t next_64(void)
{
    const uint64_t low_factor = 0x4385DF649FCCF645u, high_factor = 0x2360ED051FC65DA4u;
    uint64_t a0 = shuffler[1] & 0xFFFFFFFFu, a1 = shuffler[1] >> 32, b0 = low_factor & 0xFFFFFFFFu, b1 = low_factor >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (middle & 0xFFFFFFFFu), value;
    uint64_t high = a1 * b1 + (middle >> 32) + (other >> 32) + shuffler[0] * low_factor + shuffler[1] * high_factor;
    uint64_t low = shuffler[1] * low_factor + shuffler[3];
    unsigned turn;
    shuffler[0] = high + shuffler[2] + (low < shuffler[3]);
    shuffler[1] = low;
    turn = (unsigned)(shuffler[0] >> 58);
    value = shuffler[0] ^ shuffler[1];
    return (value >> turn) | (value << ((64u - turn) & 63u));
}

static uint32_t next_32(void)
{
    uint64_t value;
    if (has_half) {
        has_half = 0;
        return half;
    }
    value = next_64();
    has_half = 1;
    half = (uint32_t)(value >> 32);
    return (uint32_t)value;
}

/* Begin as fit(..., seed=seed) does. */
void @name@_seed(uint64_t seed)
{
    uint32_t entropy[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), 0, 0}, pool[4], words[8], constant = 0x43B0D7E5u;
    uint64_t increment[2], first[2], low;
    for (int i = 0; i < 4; i++) {
        pool[i] = hashed(entropy[i], &constant, 0x931E8875u);
    }
    for (int from = 0; from < 4; from++) {
        for (int to = 0; to < 4; to++) {
            if (from != to) {
                pool[to] = mixed(pool[to], hashed(pool[from], &constant, 0x931E8875u));
            }
        }
    }
    constant = 0x8B51F9DDu;
    for (int i = 0; i < 8; i++) {
        words[i] = hashed(pool[i % 4], &constant, 0x58F38DEDu);
    }
    first[0] = words[0] | (uint64_t)words[1] << 32;
    first[1] = words[2] | (uint64_t)words[3] << 32;
    increment[0] = words[4] | (uint64_t)words[5] << 32;
    increment[1] = words[6] | (uint64_t)words[7] << 32;
    shuffler[2] = increment[0] << 1 | increment[1] >> 63;
    shuffler[3] = increment[1] << 1 | 1u;
    low = shuffler[3] + first[1];
    shuffler[0] = shuffler[2] + first[0] + (low < first[1]);
    shuffler[1] = low;
    has_half = 0;
    (void)next_64();
}

/* New orders of n samples for so many epochs, n numbers each; the next call goes on where this one ends. */
void @name@_shuffle(int64_t *order, int64_t n, int64_t epochs)
{
    for (int64_t epoch = 0; epoch < epochs; epoch++, order += n) {
        for (int64_t i = 0; i < n; i++) {
            order[i] = i;
        }
        for (int64_t i = n - 1; i > 0; i--) {
            uint32_t mask = (uint32_t)i, drawn;
            int64_t other;
            for (int shift = 1; shift < 32; shift *= 2) {
                mask |= mask >> shift;
            }
            do {
                drawn = next_32() & mask;
            } while (drawn > (uint32_t)i);
            other = order[drawn];
            order[drawn] = order[i];
            order[i] = other;
        }
    }
}
