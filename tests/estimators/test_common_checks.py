"""scikit-learn's own checks of every estimator; it excuses none for its MLPs, and neither do we."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from tinygrad_edu.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.slow


# as in scikit-learn's tests of its own estimators: the checks stop early, for example
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
def test_common_check(estimator, check):
    check(estimator)
