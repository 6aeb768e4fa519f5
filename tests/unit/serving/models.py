"""Real models in folders, as a training run would leave them."""

from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

from relive.serving import describe, load


@dataclass(frozen=True)
class Registered:
    """A model folder and what its registration wrote."""

    model: Path
    contract: Path
    loader: str = "auto"
    code: str = ""


def iris_rows(path: Path, rows: int = 6) -> Path:
    """Write example rows of the iris data as CSV."""
    data, _ = load_iris(return_X_y=True)
    np.savetxt(path, data[:: len(data) // rows][:rows], delimiter=",", header="a,b,c,d", comments="")
    return path


def iris_classifier(folder: Path) -> Path:
    """Leave a scikit-learn classifier of iris flowers in `folder/model`."""
    data, labels = load_iris(return_X_y=True)
    return save(folder, LogisticRegression(max_iter=500).fit(data, labels))


def iris_regressor(folder: Path) -> Path:
    """Leave a model without probabilities in `folder/model`; its predictions are no whole numbers."""
    data, labels = load_iris(return_X_y=True)
    return save(folder, LinearRegression().fit(data, labels))


def cancer_data() -> tuple[np.ndarray, np.ndarray]:
    """Give a real two-class data set: 569 rows of 30 numbers, and labels."""
    data, labels = load_breast_cancer(return_X_y=True)
    return data, labels


def save(folder: Path, model: object) -> Path:
    """Leave any picklable model in `folder/model`."""
    target = folder / "model"
    target.mkdir(parents=True)
    joblib.dump(model, target / "model.joblib")
    return target


def custom(folder: Path, source: str) -> tuple[Path, str]:
    """Leave a module `own.py` with a function `build(folder)` beside an empty model folder."""
    (folder / "model").mkdir(parents=True)
    (folder / "code").mkdir()
    (folder / "code/own.py").write_text(source)
    return folder / "model", str(folder / "code")


def register(model: Path, example: Path, contract: Path) -> Registered:
    """Describe a model in this process, as registration does in the model's own."""
    describe.describe(load.load(str(model)), str(example)).write(str(contract))
    return Registered(model, contract)
