"""Boosted trees on the breast cancer data that scikit-learn ships (569 patients, 30 measurements).

Nothing here speaks of relive: it records each boosting round from outside.
"""

import csv
import json
from pathlib import Path

import xgboost
import yaml
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

params = yaml.safe_load(Path("params.yaml").read_text())
data = load_breast_cancer()
train_x, test_x, train_y, test_y = train_test_split(
    data.data, data.target, test_size=0.3, random_state=params["seed"], stratify=data.target
)

booster = xgboost.train(
    {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "max_depth": params["depth"],
        "eta": params["learning_rate"],
        "subsample": params["subsample"],
        "seed": params["seed"],
        "nthread": 1,
    },
    xgboost.DMatrix(train_x, label=train_y),
    num_boost_round=params["rounds"],
    evals=[(xgboost.DMatrix(test_x, label=test_y), "test")],
    verbose_eval=10,
)

probability = booster.predict(xgboost.DMatrix(test_x))
metrics = {
    "accuracy": accuracy_score(test_y, probability > 0.5),
    "log_loss": log_loss(test_y, probability),
}
print(json.dumps(metrics))

Path("metrics.json").write_text(json.dumps(metrics, indent=2))
Path("model").mkdir(exist_ok=True)
booster.save_model("model/model.ubj")
Path("example").mkdir(exist_ok=True)
with open("example/rows.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow([name.replace(" ", "_") for name in data.feature_names])
    rows.writerows(test_x[:5].tolist())
