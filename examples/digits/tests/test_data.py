"""What the training relies on."""

from pathlib import Path

import digits_data
import numpy as np


def test_parts_hold_every_image_once() -> None:
    train, test = digits_data.split(0.25, seed=7)
    assert len(train.digits) + len(test.digits) == 1797
    assert train.images.shape[1] == test.images.shape[1] == 64


def test_values_lie_between_0_and_1() -> None:
    train, _ = digits_data.split(0.25, seed=7)
    assert train.images.min() == 0.0
    assert train.images.max() == 1.0


def test_same_seed_gives_same_split() -> None:
    first, _ = digits_data.split(0.25, seed=7)
    second, _ = digits_data.split(0.25, seed=7)
    assert np.array_equal(first.digits, second.digits)


def test_every_digit_is_in_both_parts() -> None:
    train, test = digits_data.split(0.25, seed=7)
    assert set(train.digits) == set(test.digits) == set(range(10))


def test_a_part_is_read_back_as_it_was(tmp_path: Path) -> None:
    train, _ = digits_data.split(0.25, seed=7)
    digits_data.save(train, tmp_path / "part.npz")
    assert np.array_equal(digits_data.load(tmp_path / "part.npz").images, train.images)
