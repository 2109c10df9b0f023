"""Classes of image files, by a checkpoint or a packed file; for the latter, torch need not be installed.

from bnn_train.prediction import classifier, predict
model = classifier("runs/photos")                       # a run folder, a checkpoint or a packed file
for found in predict(model, ["a.jpg", "holiday/"]):     # files, and folders of such
    print(found.path, found.label, f"{found.share:.1%}")
"""

from __future__ import annotations

from bnn_train.prediction.classifier import Classifier, classifier
from bnn_train.prediction.files import Prediction, predict

__all__ = ["Classifier", "Prediction", "classifier", "predict"]
