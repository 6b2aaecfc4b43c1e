"""Run in a process of its own: `python -m tests.without PACKAGE,... [USE ...]` blocks packages, uses the library.

It prints JSON, for each use, or each of those that are named: "ok", or the error's type and message.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

BLOCKED = sys.argv[1].split(",") if __name__ == "__main__" else []


class Block:
    """A finder that finds nothing of these packages."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Block())
warnings.simplefilter("error", DeprecationWarning)


def uses(folder):
    """name → a function that uses a part of the library, and checks what it gives."""
    import numpy as np

    import tinygrad_edu as tg

    X, y = tg.data.xor_gate()
    adam = lambda model: tg.optim.Adam(model.parameters(), lr=0.1)  # noqa: E731

    def fit(optimizer=adam, epochs=30, model=None, **options):
        model = model or tg.nn.MLP([2, 3, 1], seed=0)
        return tg.fit(model, X, y, loss="mse", optimizer=optimizer(model), epochs=epochs, **options)

    def falls(run):
        assert run.loss_curve[-1] < run.loss_curve[0], run
        return run

    def close(a, b):
        assert np.allclose(a, b, rtol=1e-9), (a, b)

    def jit_arrays():
        f = lambda w: np.sum(np.tanh(X @ w) ** 2)  # noqa: E731
        w = np.linspace(-1.0, 1.0, 6).reshape(2, 3)
        (value, gradient), expected = tg.jit(f).value_and_grad(w), tg.value_and_grad(f)(w)
        close(value, expected[0])
        close(gradient, expected[1])

    def jit_numbers():
        f = tg.jit(lambda a, b: (a * b).tanh() + a)
        close(f(0.5, 0.2), np.tanh(0.1) + 0.5)
        close(f.value_and_grad(0.5, 0.2)[1], 0.2 * (1 - np.tanh(0.1) ** 2) + 1.0)

    def online():
        model = tg.nn.Elman(1, 2, 1, seed=0)
        series = np.sin(np.arange(30.0))[:, None]
        options = {"loss": "mse", "optimizer": tg.optim.SGD(model.parameters(), lr=0.05), "epochs": 3}
        assert tg.train.fit_online(model, series[:-1], series[1:], **options).n_epochs == 3

    def many():
        runs = tg.fit_many(
            lambda seed: tg.nn.MLP([2, 3, 1], seed=seed), X, y, seeds=range(3), loss="mse",
            optimizer=lambda p: tg.optim.SGD(p, lr=0.3), epochs=5, learning_rates=[0.1, 0.3],
        )  # fmt: skip
        model = tg.nn.MLP([2, 3, 1], seed=2)
        alone = fit(lambda m: tg.optim.SGD(m.parameters(), lr=0.3), 5, model, seed=2, compiled=False)
        close(runs.losses[1, 2], alone.loss_curve[-1])

    def diagnose():
        model = tg.nn.MLP([2, 8, 1], init="zeros")
        found = tg.clinic.diagnose(fit(model=model, epochs=100), budget_s=60.0, seeds=3)
        assert [cause.code for cause in found.causes] == ["symmetric_init"], found

    def classifier():
        inputs, classes = tg.data.moons(60, seed=1)
        made = tg.estimators.MLPClassifier((8,), max_iter=200, learning_rate_init=0.05, random_state=0)
        assert made.fit(inputs, classes.ravel()).score(inputs, classes.ravel()) > 0.8

    def regressor():
        made = tg.estimators.MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0, max_iter=50)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert made.fit(X, y.ravel()).score(X, y.ravel()) > 0.5

    def check_backprop():
        x = np.linspace(0.5, 1.5, 4).reshape(2, 2)
        report = tg.clinic.check_backprop(
            lambda p: np.sum(np.tanh(x @ p["w"])), {"w": np.ones((2, 1))}, {"w": x.T @ np.ones((2, 1))}
        )
        assert "w" in str(report)

    def functions():
        x = np.array([0.3, -0.5])
        close(tg.ops.sigmoid(x), 1.0 / (1.0 + np.exp(-x)))
        for name in ("erf", "gelu", "log_sigmoid", "softplus"):
            tg.gradcheck(getattr(tg.ops, name), x)

    def saved():
        path = folder / "run.safetensors"
        fit().save(path)
        close(tg.train.Run.load(path).loss_curve, tg.train.Run.load(path).loss_curve)
        fit(epochs=40, resume_from=path)

    def record():
        assert tg.train.Run.load(fit().save(folder / "run.json")).n_epochs == 30

    def picture():
        assert "tanh" in tg.draw(tg.Value(1.0).tanh()).dot

    def command(*arguments):
        from tinygrad_edu.cli import main

        assert main(list(arguments)) == 0

    return {
        "jit of arrays": jit_arrays,
        "jit of numbers": jit_numbers,
        "fit": lambda: falls(fit()),
        "fit, long": lambda: falls(fit(epochs=2000)),
        "fit, no compiler": lambda: falls(fit(compiled=False)),
        "fit, compiled": lambda: falls(fit(compiled=True)),
        "fit with a bar": lambda: falls(fit(progress=True)),
        "fit by L-BFGS": lambda: falls(fit(lambda model: tg.optim.LBFGS(model.parameters()))),
        "fit_online": online,
        "fit_many": many,
        "diagnose": diagnose,
        "classifier": classifier,
        "regressor by lbfgs": regressor,
        "check_backprop": check_backprop,
        "functions": functions,
        "weights": lambda: tg.nn.MLP([2, 3, 1]).save(folder / "model.safetensors"),
        "a run with weights": saved,
        "a run's record": record,
        # diagnosing is a use of its own
        "a report": lambda: tg.report(fit(), path=folder / "page.html", diagnosis=None),
        "a picture": picture,
        "a picture's source": lambda: tg.draw(tg.Value(1.0)).source(),
        "a curve's diagnosis": lambda: command("diagnose", str(folder / "run.json")),
        "the cache": lambda: command("cache", "info"),
        "the demo": lambda: command("demo", "--steps", "8", "--out", str(folder / "demo")),
    }


def outcome(use):
    try:
        use()
    except BaseException as error:  # anything that a user would see
        return f"{type(error).__name__}: {error}"
    return "ok"


def main():
    with tempfile.TemporaryDirectory() as folder:
        wanted = sys.argv[2:]
        found = {name: outcome(use) for name, use in uses(Path(folder)).items() if not wanted or name in wanted}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
