"""The ONNX file of an estimator gives what its predict_proba and predict give, whatever loss, outputs and labels."""

import numpy as np
import pytest

from tinygrad_edu.estimators import MLPClassifier

onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: the extra test")
pytest.importorskip("onnx", reason="needs onnx: the extra onnx")
onnxruntime.set_default_logger_severity(3)

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
S = X @ [1.0, -1.0, 0.5]
PLACES = np.digitize(S, [-0.7, 0.7])
LABELS = {
    "texts": np.where(S > 0.0, "yes", "no"), "three": np.array([-5, -1, 7])[PLACES], "booleans": S > 0.0,
    "several": np.stack([S > 0.0, X[:, 0] > 0.0], axis=1) * 1, "one class": np.full(60, 3),
    "large": np.where(S > 0.0, 2**62 + 1, 2**62),
}  # fmt: skip
SETTINGS = [
    {}, {"loss": "hinge"}, {"loss": "mse"}, {"loss": "mse", "out_activation": "tanh"}, {"loss": "bce_with_logits"},
    {"loss": "mae"}, {"norm": "batch"},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("labels", LABELS)
def test_probabilities_and_labels_are_those_of_the_estimator(tmp_path, labels, settings):
    y = LABELS[labels]
    model = MLPClassifier((5,), max_iter=20, random_state=1, learning_rate_init=0.02, **settings).fit(X, y)
    session = onnxruntime.InferenceSession(str(model.to_onnx(tmp_path / "model.onnx")))
    found = dict(zip([x.name for x in session.get_outputs()], session.run(None, {"x": X}), strict=True))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-5)
    assert ("label" in found) == (y.ndim == 1)
    if y.ndim == 1:
        assert np.asarray(found["label"]).tolist() == model.predict(X).tolist()
