"""`relive why` on a real training with scikit-learn: labels, a param and a release that changes results."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hub import RealHub, running_hub
from tests.e2e.test_examples import CACHE

TRAIN = """\
import json
import sys

import pandas_free as table
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.preprocessing import StandardScaler

settings = json.load(open("params.json"))
X, y = table.read("data/train.csv")
X_test, y_test = table.read("data/test.csv")
scaler = StandardScaler().fit(X)
linear = LogisticRegression(C=settings["C"], max_iter=200, verbose=settings["verbose"])
linear.fit(scaler.transform(X), y)
trees = GradientBoostingClassifier(n_estimators=settings["rounds"], random_state=0, max_features=8)
trees.fit(X, y)
chances = (linear.predict_proba(scaler.transform(X_test)) + trees.predict_proba(X_test)) / 2
found = {"accuracy": accuracy_score(y_test, chances.argmax(axis=1)), "logloss": log_loss(y_test, chances)}
json.dump(found, open("m.json", "w"))
"""
READER = """\
import numpy


def read(path):
    rows = numpy.loadtxt(path, delimiter=",")
    return rows[:, :-1], rows[:, -1].astype(int)
"""
SAME_READER = """\
import numpy as np


def read(name):
    table = np.loadtxt(name, delimiter=",")
    features, labels = table[:, :-1], table[:, -1]
    return features, labels.astype(int)
"""
MAKE = """\
import sys, numpy
from sklearn.datasets import load_digits
X, y = load_digits(n_class=4, return_X_y=True)
flipped = y.copy()
flipped[numpy.flatnonzero(y[:400] == 3)[:12]] = 2
for name, rows, labels in (("train", slice(0, 400), y), ("wrong", slice(0, 400), flipped),
                           ("test", slice(400, 700), y)):
    numpy.savetxt(sys.argv[1] + f"/{name}.csv", numpy.column_stack([X[rows], labels[rows]]), "%g", ",")
"""
SAME = [f"{name}=={version(name)}" for name in ("numpy", "scipy")]
# 1.9 grows other trees than 1.8 (measured); the other two are imported as well, and change nothing.
BEFORE = ["scikit-learn==1.8.0", "joblib==1.5.2", "threadpoolctl==3.5.0", *SAME]
AFTER = ["scikit-learn==1.9.1", "joblib==1.5.3", "threadpoolctl==3.6.0", *SAME]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub whose runner keeps wheels from one run of the tests to the next."""
    with running_hub(tmp_path_factory.mktemp("home"), RELIVE_CACHE=CACHE) as running:
        yield running


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)


def recorded(hub: RealHub, folder: Path) -> str:
    options = ("--env", "requirements.txt", "--dep", "data", "--metrics", "m.json", "--json")
    done = hub.relive(
        "run", "--project", "digits", *options, "--", "python", "train.py", folder=folder, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return str(json.loads(done.stdout)["run_id"])


@pytest.fixture(scope="module")
def pair(hub: RealHub, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two trainings that differ in eleven inputs; three of them matter."""
    folder = tmp_path_factory.mktemp("digits")
    data = folder / "data"
    data.mkdir()
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run([sys.executable, "-c", MAKE, str(data)], check=True)
    wrong = (data / "wrong.csv").read_text()
    (data / "wrong.csv").unlink()
    params: dict[str, Any] = {"C": 0.1, "rounds": 12, "verbose": 0, "title": "first"}
    write(
        folder,
        {
            ".gitignore": "m.json\n",
            "train.py": TRAIN,
            "pandas_free.py": READER,
            "README.md": "first\n",
            "data/notes.csv": "1\n",
            "params.json": json.dumps(params),
            "requirements.txt": "\n".join(BEFORE),
        },
    )
    first = recorded(hub, folder)
    changed = {"C": 0.02, "title": "second"}
    write(
        folder,
        {
            "train.py": TRAIN.replace("import sys\n", "import sys  # not used\n"),
            "pandas_free.py": SAME_READER,
            "README.md": "second\n",
            "data/notes.csv": "2\n",
            "data/train.csv": wrong,
            "params.json": json.dumps(params | changed),
            "requirements.txt": "\n".join(AFTER),
        },
    )
    return first, recorded(hub, folder)


def test_names_labels_param_and_release(hub: RealHub, pair: tuple[str, str]) -> None:
    done = hub.relive("why", *pair, "--json", check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["report"]
    causes = {it["name"]: it for it in report["causes"]}
    # 1.9 needs a package that 1.8 did not: the two are exchanged together.
    release = causes.pop("scikit-learn with narwhals")
    assert set(causes) == {"data/train.csv", "params.json:C"}
    assert release["before"] == "scikit-learn 1.8.0"
    assert "scikit-learn 1.9.1" in release["after"]
    assert {it["without"] for it in report["causes"]} == {"otherwise"}
    cleared = {it["name"]: it["reason"] for it in report["cleared"]}
    assert cleared["train.py"] == "same syntax tree"
    assert cleared["data/notes.csv"] == cleared["README.md"] == "neither run read it"
    assert "states" in report["compared"]
    search = [it for it in report["tried"] if it["phase"] == "search"]
    assert len(search) <= 12, [it["names"] for it in search]
    for metric in report["metrics"]:
        parts = sum(it["shares"][metric["key"]] for it in report["causes"])
        assert parts == pytest.approx(metric["after"] - metric["before"])
