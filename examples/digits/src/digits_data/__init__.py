"""Reads, splits and scales the handwritten digits that scikit-learn ships (1797 images of 8 × 8)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@dataclass(frozen=True)
class Part:
    """Images as rows of 64 values in [0, 1], and their digits; shapes (n, 64) and (n,)."""

    images: NDArray[np.float32]
    digits: NDArray[np.int64]


def split(test_fraction: float, seed: int) -> tuple[Part, Part]:
    """Give the training part and the test part, with every digit in the same proportion in both."""
    images, digits = load_digits(return_X_y=True)
    scaled = (images / 16.0).astype(np.float32)
    parts = train_test_split(scaled, digits, test_size=test_fraction, random_state=seed, stratify=digits)
    train_images, test_images, train_digits, test_digits = parts
    return Part(train_images, train_digits), Part(test_images, test_digits)


def save(part: Part, path: Path) -> None:
    """Write a part to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=part.images, digits=part.digits)


def load(path: Path) -> Part:
    """Read a part back."""
    with np.load(path) as file:
        return Part(file["images"], file["digits"])
