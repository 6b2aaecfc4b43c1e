"""Beyond which number a measurement is a symptom. All are ratios, apart from counts of steps and of units.

The comments give what 5 and 95% of healthy runs show, by `python -m bench.clinic.thresholds`, which measures them on
the healthy problems for tuning; "rare" where such runs have none of it to measure.
"""

LIMITS = {
    "divergence": 1.2,  # last loss over first: 0.002 to 0.2
    "oscillation": 0.1,  # change from epoch to epoch over the whole range: 0.0004 to 0.02
    "flat": 0.02,  # total fall over the first loss: 0.88 to 1
    # fall in the last fifth over the first loss: -0.01 to 0.03; counts only while the loss is above "left"
    "plateau": 0.002,
    "left": 0.3,  # share of the first loss above which a plateau is a bad one
    # fall between the last two tenths, relative to the first of them: -0.04 to 0.2, so it is not an illness
    "improving": 0.008,
    "saturated": 0.3,  # share of (sample, unit): 0 to 0.01 at the start, 0 to 0.16 at the end
    "dead": 0.4,  # share of units: 0 to 0.11 at the start, 0 to 0.24 at the end
    "vanishing": 0.02,  # gradient norm at the first layer's pre-activations over that at the last layer's: 0.1 to 0.2
    "exploding": 20.0,  # the same ratio
    "update_small": 1e-4,  # change of the weights in the first step, over their size: 0.03 to 0.35
    "update_large": 0.4,  # the same
    "gain": 4.0,  # size of the initial weights over Glorot's: 0.98 to 2.95; He's for two inputs has 3.6
    "spread": 10.0,  # largest standard deviation of a feature over the smallest
    "scale": 4.0,  # largest standard deviation of a feature, or its inverse
    "offset": 4.0,  # mean of a feature over its standard deviation
    "target_scale": 8.0,  # standard deviation of a target, or half of its mean: 0.68 to 0.71
    "outside": 0.02,  # share of targets that the output cannot reach: 0
    "runs": 0.2,  # runs of equal labels over what a random order has: 1.07
    "minority": 0.15,  # share of the rarest class, over an equal share: 1
    "initial": 3.0,  # first loss over that of a network that has learned nothing: 0.9 to 2.1
    "reach": 1.0,  # learning rate over 2/λ: 0.05 to 0.08
    "reach_small": 0.01,  # the same
    "few_steps": 200,  # 150 to 800
    "few_epochs": 9,  # 60 to 200
    "momentum": 0.97,  # 0.9 is usual
    "damped": 3.0,  # how many times shorter than lr·g the steps are in the long run: (1 - μ)/(1 - τ)
    "decay": 3e-3,  # 0 to 0.0001
    "frozen": 0.02,  # mean learning rate of the last two thirds over the largest: rare
    "rate_large": 0.1,  # learning rate of an adaptive optimizer, whose steps are about that long: 0.01 to 0.06
    "rate_small": 4e-4,  # the same
    "noise": 2.0,  # distance of a batch's gradient from the whole one over its length: 0.19 to 0.87
    "seeds": 0.35,  # spread of the last loss over seeds, over the way down to the best: 0.001 to 0.11
    "tails": 8.0,  # largest deviation of a feature from its median over the 90% quantile of these deviations: rare
    "target_small": 0.05,  # standard deviation of targets: 0.68 to 0.71
    "dropout": 0.45,  # share of hidden units that are dropped: 0 to 0.2
    "clipped": 0.1,  # longest gradient after clipping over the gradient's norm at the start: rare
    "epsilon": 1.0,  # eps over the root mean square of the gradient's entries: at 1 half of a step is lost
    # loss with BatchNorm's running statistics minus that with the batch's, relative to the latter: rare
    "off_mean": 0.25,
    "padded": 0.3,  # share of all sequence steps that are padding at the end: 0
    "chance": 0.02,  # relative distance of the loss from log(k): rare
    "small_net": 3,  # units of the narrowest hidden layer
}
