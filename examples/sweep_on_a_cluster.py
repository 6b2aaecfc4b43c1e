"""A sweep on a cluster: the same calls, the same numbers, on as many machines as there are.

Two worker processes of this machine stand for the cluster. On a real one a single line changes: `cluster` becomes the
address of its scheduler. Every machine has to have this package and the same versions of Python and NumPy.
Needs `pip install "tinygrad_edu[cluster,sklearn]"`.

    python examples/sweep_on_a_cluster.py
"""

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV

try:
    from distributed import Client, LocalCluster
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: this program needs pip install "tinygrad_edu[cluster,sklearn]"') from None

import tinygrad_edu as tg
from tinygrad_edu.data import iris, moons
from tinygrad_edu.estimators import MLPClassifier

X, y = moons(200)
SETTINGS = {"loss": "mse", "epochs": 200, "batch_size": 50, "seeds": range(12), "learning_rates": (0.03, 0.1, 0.3, 1.0)}


def make(seed):
    return tg.nn.MLP([2, 8, 1], seed=seed)


def optimizer(parameters):
    return tg.optim.SGD(parameters, lr=0.1, momentum=0.9)


def main():
    here = tg.fit_many(make, X, y, optimizer=optimizer, **SETTINGS)
    network = MLPClassifier((5,), solver="lbfgs", max_iter=5000, random_state=0)
    search = GridSearchCV(network, {"alpha": [1e-2, 1.0, 100.0]}, cv=3)
    scores = search.fit(*iris()).cv_results_["mean_test_score"]

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    # On a real cluster only this line differs: Client("tcp://scheduler.example:8786")
    with Client(cluster) as client:
        there = tg.fit_many(make, X, y, optimizer=optimizer, parallel="dask", **SETTINGS)
        with joblib.parallel_config("dask"):  # for scikit-learn's searches, and for fit_many too
            scores_there = search.fit(*iris()).cv_results_["mean_test_score"]
        count = len(client.scheduler_info()["workers"])
    cluster.close()

    same = all(np.array_equal(getattr(here, name), getattr(there, name)) for name in ("losses", "predictions"))
    print(f"{count} workers: {'the same' if same else 'OTHER'} {there.losses.size} runs to the last bit")
    for rate, share in zip(there.learning_rates, there.success_rate(0.1), strict=True):
        print(f"  rate {rate:5.2f}: {share:4.0%} of the seeds below a loss of 0.1")
    print(f"GridSearchCV: {'the same' if np.array_equal(scores, scores_there) else 'OTHER'} scores {scores.round(3)}")


if __name__ == "__main__":  # because the workers import this file
    main()
