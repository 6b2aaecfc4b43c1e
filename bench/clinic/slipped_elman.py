"""The same for a recurrent net: four steps of an Elman network, its backward pass through time by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.clinic.slipped import EVERY, FROM_OUTPUT, LR, SLOPES, Injected

Array = np.ndarray[Any, Any]
STEPS = 4


class Elman:
    """h_t = tanh(x_t W_x + h_(t-1) W_h + b), y = h_4 W_o + b_o, half the squared error."""

    def __init__(self, inputs: int = 2, hidden: int = 3, outputs: int = 2, samples: int = 4, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.X, self.T = rng.normal(size=(STEPS, samples, inputs)), rng.random((samples, outputs))
        self.samples, self.hidden = samples, hidden
        self.params = {
            "Wx": rng.normal(size=(inputs, hidden)) * 0.8, "Wh": rng.normal(size=(hidden, hidden)) * 0.8,
            "b": rng.normal(size=hidden) * 0.3, "Wo": rng.normal(size=(hidden, outputs)),
            "bo": rng.normal(size=outputs),
        }  # fmt: skip

    def forward(self, p: dict[str, Any]) -> Any:
        h: Any = np.zeros((self.samples, self.hidden))
        for x in self.X:
            h = np.tanh(x @ p["Wx"] + h @ p["Wh"] + p["b"])
        return 0.5 * np.sum((h @ p["Wo"] + p["bo"] - self.T) ** 2)

    def backward(self, slips: tuple[Injected, ...] = ()) -> dict[str, Array]:
        p, at = self.params, {s.code: s for s in slips}
        h, z = [np.zeros((self.samples, self.hidden))], []
        for x in self.X:
            z.append(x @ p["Wx"] + h[-1] @ p["Wh"] + p["b"])
            h.append(np.tanh(z[-1]))
        d = h[-1] @ p["Wo"] + p["bo"] - self.T
        d = -d if "sign_flipped" in at else d
        d = at["constant_factor"].form * d if "constant_factor" in at else d
        out = {"Wo": h[-1].T @ d, "bo": d.sum(axis=0), **{n: np.zeros_like(p[n]) for n in ("Wx", "Wh", "b")}}
        Wo = p["Wo"] - LR * out["Wo"] if "updated_weights_used" in at else p["Wo"]
        g = d @ Wo.T
        for t in reversed(range(STEPS)):
            g = self.one_step(t, g, z[t], h, out, at)
        if "gradient_times_weight" in at:
            out["Wh"] = out["Wh"] * p["Wh"]
        if "gradient_transposed" in at:
            out["Wh"] = out["Wh"].T
        return out

    def one_step(
        self, t: int, g: Array, z: Array, h: list[Array], out: dict[str, Array], at: dict[str, Injected]
    ) -> Array:
        slope = SLOPES["tanh"](z)

        def here(code: str) -> bool:
            return code in at and at[code].layer in (t, EVERY)

        if here("missing_activation_derivative"):
            slope = np.ones_like(slope)
        if here("derivative_at_activation"):
            slope = SLOPES["tanh"](h[t + 1])
        if here("derivative_at_preactivation"):
            slope = FROM_OUTPUT["tanh"](z)
        if here("wrong_activation_derivative"):
            slope = FROM_OUTPUT["sigmoid"](h[t + 1])
        if here("derivative_at_error"):
            slope = SLOPES["tanh"](g)
        d = slope if here("upstream_gradient_dropped") else g * slope
        dropped = at.get("time_step_dropped")
        if not (dropped and dropped.form == "left out" and dropped.layer == t) and not (
            dropped and dropped.form == "last alone" and t < STEPS - 1
        ):
            out["Wx"] += self.X[t].T @ d
            out["Wh"] += (z if here("wrong_layer_input") else h[t]).T @ d
            out["b"] += 0.0 if "missing_bias_gradient" in at else d.sum(axis=0)
        if dropped and dropped.form == "cut":
            return 0.0 * d
        if "not_transposed" in at:
            return d @ self.params["Wh"]
        return d @ self.params["Wh"].T


def possible(_: Elman) -> Iterator[Injected]:
    """The slips of a recurrent net."""
    slopes = ["missing_activation_derivative", "derivative_at_activation", "derivative_at_preactivation",
              "wrong_activation_derivative", "derivative_at_error", "upstream_gradient_dropped"]  # fmt: skip
    for code in slopes:
        yield from (Injected(code, layer) for layer in (EVERY, *range(STEPS)))
    yield from (Injected("time_step_dropped", t, "", "left out") for t in range(STEPS))
    yield from (Injected("time_step_dropped", EVERY, "", form) for form in ("last alone", "cut"))
    for code in ("sign_flipped", "gradient_times_weight", "gradient_transposed", "missing_bias_gradient"):
        yield Injected(code, EVERY)
    yield from [
        Injected("updated_weights_used", EVERY),
        Injected("not_transposed", EVERY),
        Injected("wrong_layer_input", EVERY),
    ]
    yield Injected("constant_factor", EVERY, "", 0.37)
