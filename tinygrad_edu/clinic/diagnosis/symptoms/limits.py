"""Beyond which number a measurement is a symptom. All are ratios, apart from counts of steps and of units.

The comments give what 5 and 95% of healthy runs show, by `python -m bench.clinic.thresholds`, which measures them on
the healthy problems for tuning; "rare" where such runs have none of it to measure.
"""

LIMITS = {
    "divergence": 1.2,  # last loss over first: 0.002 to 0.2
    "oscillation": 0.1,  # change from epoch to epoch over the whole range: 0.0004 to 0.02
    "flat": 0.02,  # fall in all over the first loss: 0.88 to 1
    "plateau": 0.002,  # fall over the last fifth, over the first loss: -0.01 to 0.03, when less than "left" is left
    "left": 0.3,  # of the first loss, for a plateau to be a bad one
    "improving": 0.008,  # fall from the last but one tenth to the last, over the former: -0.04 to 0.2, so no illness
    "saturated": 0.3,  # share of (sample, unit): 0 to 0.01 at the start, 0 to 0.16 at the end
    "dead": 0.4,  # share of units: 0 to 0.11 at the start, 0 to 0.24 at the end
    "vanishing": 0.02,  # gradient by the first layer's sums over that by the last's: 0.1 to 0.2
    "exploding": 20.0,  # likewise
    "update_small": 1e-4,  # change of the weights in the first step, over their size: 0.03 to 0.35
    "update_large": 0.4,  # likewise
    "gain": 4.0,  # size of weights at the start over Glorot's: 0.98 to 2.95; He's for two inputs are at 3.6
    "spread": 10.0,  # largest standard deviation of a feature over the smallest
    "scale": 4.0,  # largest standard deviation of a feature, or its inverse
    "offset": 4.0,  # mean of a feature over its standard deviation
    "target_scale": 8.0,  # standard deviation of a target, or half of its mean: 0.68 to 0.71
    "outside": 0.02,  # share of targets that the output cannot reach: 0
    "runs": 0.2,  # runs of equal labels over what a random order has: 1.07
    "minority": 0.15,  # share of the rarest class, over an equal share: 1
    "initial": 3.0,  # first loss over that of a network that knows nothing: 0.9 to 2.1
    "reach": 1.0,  # learning rate over 2/λ: 0.05 to 0.08
    "reach_small": 0.01,  # likewise
    "few_steps": 200,  # 150 to 800
    "few_epochs": 9,  # 60 to 200
    "momentum": 0.97,  # 0.9 is usual
    "decay": 3e-3,  # 0 to 0.0001
    "frozen": 0.02,  # mean learning rate of the last two thirds over the largest: rare
    "rate_large": 0.1,  # of an adaptive optimizer, whose step is about the rate: 0.01 to 0.06
    "rate_small": 4e-4,  # likewise
    "noise": 2.0,  # distance of a batch's gradient from the whole one over its length: 0.19 to 0.87
    "seeds": 0.35,  # spread of the last loss over seeds, over the way down to the best: 0.001 to 0.11
    "tails": 8.0,  # largest deviation of a feature from its median over its 90% one: rare
    "target_small": 0.05,  # standard deviation of targets: 0.68 to 0.71
    "dropout": 0.45,  # share of hidden units that is silent: 0 to 0.2
    "clipped": 0.1,  # longest gradient that is followed over the length of the gradient at the start: rare
    "off_mean": 0.25,  # loss by the running statistics of BatchNorm less that by the batch's, over the latter: rare
    "padded": 0.3,  # share of the steps of all sequences that are padding behind them: 0
    "chance": 0.02,  # distance of the loss from log(k), over it: rare
    "small_net": 3,  # units of the narrowest hidden layer
}
