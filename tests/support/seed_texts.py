"""Texts of the seeded story: logs, a script, packages."""

PIPELINE = "version: 1\nproject: digits\nstages:\n  train:\n    cmd: python train.py\n"
TRAIN = "import joblib\nmodel = joblib.load('model')\n"

PACKAGES = [
    ("attrs", "25.3.0"),
    ("iniconfig", "2.1.0"),
    ("joblib", "1.5.2"),
    ("numpy", "2.3.4"),
    ("packaging", "25.0"),
    ("pluggy", "1.6.0"),
    ("pytest", "9.0.1"),
    ("pyyaml", "6.0.3"),
    ("scikit-learn", "1.7.2"),
    ("scipy", "1.16.3"),
    ("threadpoolctl", "3.6.0"),
]

VERDICTS = {
    "bit_exact": "Equal: 3 metrics, 200 steps.",
    "within_tolerance": "Every metric is within its limit; not equal: metric val/loss.",
    "diverged": (
        "Differs first in weights:AdamW#0 at step 12 (encoder.0.weight); outside their limit: val/accuracy."
    ),
}

TEST_LOG = """============================= test session starts ==============================
platform linux -- Python 3.11.9, pytest-9.0.1, pluggy-1.6.0
collected 14 items

tests/test_data.py ..............                                        [100%]

============================== 14 passed in 0.91s ==============================
"""

FAILED_TEST_LOG = """============================= test session starts ==============================
platform linux -- Python 3.11.9, pytest-9.0.1, pluggy-1.6.0
collected 14 items

tests/test_data.py ............F.                                        [100%]

=================================== FAILURES ===================================
_______________________ test_no_image_is_in_both_splits ________________________

    def test_no_image_is_in_both_splits():
        train, test = digits_data.split(seed=1)
>       assert not set(map(bytes, train.images)) & set(map(bytes, test.images))
E       AssertionError: assert not {b'...'}

tests/test_data.py:31: AssertionError
=========================== short test summary info ============================
FAILED tests/test_data.py::test_no_image_is_in_both_splits - AssertionError
========================= 1 failed, 13 passed in 1.02s =========================
"""

FAILURE = """def test_no_image_is_in_both_splits():
        train, test = digits_data.split(seed=1)
>       assert not set(map(bytes, train.images)) & set(map(bytes, test.images))
E       AssertionError: assert not {b'...'}

tests/test_data.py:31: AssertionError"""


def train_log(accuracy: float, steps: int = 40) -> str:
    """Give what training printed."""
    lines = ["loading data/train.npz: 1437 images", "loading data/test.npz: 360 images"]
    lines += [f"epoch {i:3d}  log_loss {2.3 * 0.93**i + 0.11:.4f}" for i in range(steps)]
    lines.append(f'{{"accuracy": {accuracy}, "log_loss": {0.6 - accuracy / 2:.4f}}}')
    return "\n".join(lines) + "\n"
