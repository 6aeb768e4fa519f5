"""Splits the digits into a training and a test file."""

from pathlib import Path

import digits_data
import yaml

params = yaml.safe_load(Path("params.yaml").read_text())["prepare"]
train, test = digits_data.split(params["test_fraction"], params["seed"])
digits_data.save(train, Path("data/train.npz"))
digits_data.save(test, Path("data/test.npz"))
print(f"{len(train.digits)} images to train with, {len(test.digits)} to test with")
