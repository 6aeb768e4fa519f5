"""Trains a classifier, and measures it on images it has not seen."""

import json
from pathlib import Path

import digits_data
import joblib
import numpy as np
import yaml
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.svm import SVC


def make_model(name: str, seed: int) -> ClassifierMixin:
    """Give an untrained classifier by its name in params.yaml."""
    models = {
        "logistic": LogisticRegression(C=0.5, max_iter=2000),
        "svc": CalibratedClassifierCV(SVC(C=8.0, gamma=0.5), ensemble=False),
        "forest": RandomForestClassifier(n_estimators=200, random_state=seed),
    }
    return models[name]


params = yaml.safe_load(Path("params.yaml").read_text())["train"]
train = digits_data.load(Path("data/train.npz"))
test = digits_data.load(Path("data/test.npz"))

model = make_model(params["model"], params["seed"])
model.fit(train.images[: params["examples"]], train.digits[: params["examples"]])

probabilities = model.predict_proba(test.images)
metrics = {
    "accuracy": accuracy_score(test.digits, model.predict(test.images)),
    "log_loss": log_loss(test.digits, probabilities),
}
print(json.dumps(metrics))

Path("metrics.json").write_text(json.dumps(metrics, indent=2))
Path("model").mkdir(exist_ok=True)
joblib.dump(model, "model/model.joblib")
Path("example").mkdir(exist_ok=True)
np.savez("example/rows.npz", **{"input-0": test.images[:5]})
