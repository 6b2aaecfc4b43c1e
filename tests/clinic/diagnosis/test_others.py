"""A run that is good enough has no fault where a change does better on its own samples alone."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.causes.changes import no_decay
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.others import share_of_others
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget

RNG = np.random.default_rng(1)
X = RNG.normal(size=(160, 5))
NOISY = (X[:, 0] + X[:, 1] * X[:, 2] + RNG.normal(0.0, 0.6, 160) > 0).astype(int)


def fitted(X, y, alpha, **options):
    model = MLPClassifier((12,), solver="lbfgs", alpha=alpha, max_iter=300, random_state=0, **options)
    return make_pipeline(StandardScaler(), model).fit(X, y)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [3.0, 6.0])
def test_a_penalty_that_keeps_noise_from_being_learned_by_heart_is_no_fault(alpha):
    """Without the penalty all labels of this run's own samples are found, and fewer of others."""
    found = diagnose(fitted(X, NOISY, alpha), X, NOISY, budget_s=120.0)
    assert found.healthy, str(found)
    assert found.causes == []


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("better", [True, False])
def test_what_helps_with_samples_that_were_held_out(better):
    """Scaled inputs do; of labels that are half noise no penalty does not."""
    given, y = (X * [1.0, 40.0, 400.0, 1.0, 1.0], (X[:, 0] * X[:, 1] > 0).astype(int)) if better else (X, NOISY)
    model = MLPClassifier((12,), solver="lbfgs", alpha=6.0, max_iter=100, random_state=0).fit(given, y)
    subject = subject_of(model, given, y)
    change = {"inputs": "standardized"} if better else next(no_decay(Record(subject)))
    before, after = (share_of_others(s, subject.task, Budget()) for s in (subject.setup, subject.setup.but(change)))
    assert (after > before + 0.02) == better
