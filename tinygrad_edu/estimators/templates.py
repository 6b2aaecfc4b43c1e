"""The text of the network program: any depth, width, activation, loss and solver, chosen when it runs.

There is one program for all of them, because a grid search visits them all, and each new program would have to be
compiled. It is long, so compile/backend/llvm_statements.py translates it: 1.3 s instead of Numba's own 4.8 s (processor
time, cold). A run can stop after any step and continue later: its progress is in `whole` and `numbers`, its weights in
`memory`; memory.py describes the layout.
"""

ARGUMENTS = "X, values, columns, ends, Y, weight, orders, words, whole, numbers, memory, curves"
NETWORK = """\
{places}
    n, outputs = Y.shape
    order, shuffled = view(orders, 0, (n,)), view(orders, n, (n,))
    coefs, widest, weights = 0, 0, 0
    for layer in range(layers):
        coefs += whole[{widths} + 2 * layer] * whole[{widths} + 2 * layer + 2]
        weights += whole[{widths} + 2 * layer + 2]
        widest = max(widest, whole[{widths} + 2 * layer + 2])
    weights += coefs
    w, g = view(memory, 0, (weights,)), view(memory, weights, (weights,))
    m0, m1 = view(memory, 2 * weights, (weights,)), view(memory, 3 * weights, (weights,))
    features, work = X.shape[1], 4 * weights
    for _ in range(steps):
        if begin == 0:
            total = 0.0
            if words.size > 0:
                # as NumPy's RandomState.shuffle uses the words of its bit generator
                for i in range(n):
                    shuffled[i] = i
                for i in range(n - 1, 0, -1):
                    mask, j = i, i + 1
                    for bits in (1, 2, 4, 8, 16):
                        mask |= mask >> bits
                    while j > i:
                        j = mask & words[word]
                        word += 1
                    shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
                for i in range(n):
                    shuffled[i] = order[shuffled[i]]
                copy(shuffled, order)
        size = min(batch, n - begin)
        # forward
        place, bias_place, at, before = 0, coefs, work + size * features, work
        a = view(memory, work, (size, features))
        if ends.size > 0:
            for i in range(size):
                for j in range(features):
                    a[i, j] = 0.0
                for k in range(ends[order[begin + i]], ends[order[begin + i] + 1]):
                    a[i, columns[k]] += values[k]
        elif gathered == 1:
            gather(X, order, begin, a)
        else:
            a = view(X, begin * features, (size, features))
        inputs, n_in = a, features
        for layer in range(layers):
            n_out = whole[{widths} + 2 * layer + 2]
            z, zs = view(memory, at, (size, n_out)), view(memory, at, (size * n_out,))
            dot(a, view(w, place, (n_in, n_out)), z)
            bias, zs_0 = view(w, bias_place, (n_out,)), size * n_out
            for i in range(size):
                for j in range(n_out):
                    z[i, j] += bias[j]
            kind = whole[{widths} + 2 * layer + 3]
{activations}
            elif kind == {softmax}:
                for i in range(size):
                    highest, shares = z[i, 0], real(0.0)
                    for j in range(outputs):
                        highest = max(highest, z[i, j])
                    for j in range(outputs):
                        z[i, j] = exp(z[i, j] - highest)
                        shares += z[i, j]
                    for j in range(outputs):
                        z[i, j] /= shares
{dropout}
            place += n_in * n_out
            bias_place += n_out
            before, at = at, at + size * n_out
            a, n_in = z, n_out
        # the loss; d becomes its derivative by the last layer before the activation
        d, other = view(memory, at, (size, outputs)), at + size * widest
        mass, cost = 0.0, 0.0
        for i in range(size):
            mass += weight[order[begin + i]]
        if mass == 0.0:
            curves[3, epoch] = {weightless}
            break
        for i in range(size):
            row = order[begin + i]
            for j in range(outputs):
                y, q, share = float(Y[row, j]), float(a[i, j]), weight[row] / mass
                d[i, j] = (q - y) * share
                if loss == 0:
                    cost += 0.5 * (q - y) * (q - y) * share / outputs
                elif loss == 1:
                    cost += ((y * math.log(y / q) if y != 0.0 else 0.0) - y + q) * share
                elif y > 0.0 or loss == 3:
                    q = q if y > 0.0 else 1.0 - q
                    q = {epsilon} if q < {epsilon} else (1.0 - {epsilon} if q > 1.0 - {epsilon} else q)
                    cost -= math.log(q) * share
        # backward
        bias_place = weights
        for layer in range(layers - 1, -1, -1):
            n_in, n_out = whole[{widths} + 2 * layer], whole[{widths} + 2 * layer + 2]
            place -= n_in * n_out
            bias_place -= n_out
            before -= size * n_in
            a = view(memory, before, (size, n_in)) if layer > 0 else inputs
            dot(a.T, d, view(g, place, (n_in, n_out)))
            d_bias = view(g, bias_place, (n_out,))
            for j in range(n_out):
                d_bias[j] = 0.0
            for i in range(size):
                for j in range(n_out):
                    d_bias[j] += d[i, j]
            if layer > 0:
                d_ = view(memory, other, (size, n_in))
                dot(d, view(w, place, (n_in, n_out)).T, d_)
                at, other, d = other, at, d_
                ds_0 = size * n_in
                kind = whole[{widths} + 2 * layer + 1]
                ds, ys = view(memory, at, (ds_0,)), view(memory, before, (ds_0,))
{dropout_back}
{derivatives}
        square, penalty = real(0.0), real(alpha / mass)
        for i in range(coefs):
            square = plus(square, w[i] * w[i])
            g[i] += penalty * w[i]
{clip}
        total += (cost + 0.5 * alpha * square / mass) * size
        t += 1.0
{updates}
        begin += size
        if begin == n:
            begin, samples = 0, samples + n
            square = real(0.0)
            for i in range(weights):
                square = plus(square, g[i] * g[i])
            record, failures, lr, event = {end_of_epoch}
            curves[0, epoch], curves[1, epoch] = total / n, math.sqrt(square)
            curves[2, epoch], curves[3, epoch] = lr, event
            epoch += 1
            if event == 1 or event == 2 or epoch == curves.shape[1]:
                break
{kept}"""

# Features beyond scikit-learn's are in a program of their own, so that the usual one stays short.
DROPOUT = """
            if layer < layers - 1:
                # Knuth's linear congruential generator (MMIX), of which the upper bits are used
                masks = view(memory, at + shift, (zs_0,))
                for i in range(zs_0):
                    draw = draw * 6364136223846793005 + 1442695040888963407
                    masks[i] = real(0.0) if ((draw >> 32) & 0x7FFFFFFF) < 2147483648.0 * dropout else real(1.0)
                    zs[i] *= masks[i] / real(1.0 - dropout)
"""
# The derivative comes from the activation without its mask; where the mask is 0, d is 0 too.
DROPOUT_BACK = """
                masks = view(memory, before + shift, (ds_0,))
                for i in range(ds_0):
                    ds[i] *= masks[i] / real(1.0 - dropout)
                    ys[i] *= real(1.0 - dropout)
"""
CLIP = """
        length = real(0.0)
        for i in range(weights):
            length = plus(length, g[i] * g[i])
        if length > clip_norm * clip_norm:
            shrink = real(clip_norm / math.sqrt(length))
            for i in range(weights):
                g[i] *= shrink
"""
