"""A search whose fits are spread over the processes of a dask cluster."""

import joblib
import pytest
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV

from tinygrad_edu.data import iris
from tinygrad_edu.estimators import MLPClassifier

pytestmark = pytest.mark.slow

CELLS = {"solver": ["adam", "sgd", "lbfgs"], "activation": ["tanh", "relu"]}


@pytest.mark.filterwarnings("ignore")  # distributed's warnings about itself, and that 20 epochs are not enough
def test_two_processes_find_what_one_finds():
    X, y = iris()
    search = GridSearchCV(MLPClassifier((5,), max_iter=20, random_state=0), CELLS, cv=2)
    alone = search.fit(X, y).cv_results_
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
    with cluster, Client(cluster), joblib.parallel_backend("dask"):
        beside = search.fit(X, y).cv_results_
    for name in ("split0_test_score", "split1_test_score", "rank_test_score"):
        assert alone[name].tolist() == beside[name].tolist()
