"""Names that differ by the time of a run alone are those of the same file."""

import pytest

from relive.core.timestamps import pair_by_name, without_times


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("outputs/20261124_043457/metrics.json", "outputs/<time>/metrics.json"),
        ("outputs/2026-11-24/04-34-57/metrics.json", "outputs/<time>/<time>/metrics.json"),
        ("logs/2026-11-24T04:34:57.123456Z.log", "logs/<time>.log"),
        ("runs/Nov24_04-43-35_box/a", "runs/<time>_box/a"),
        ("ckpt_0_1795495413.pt", "ckpt_0_<time>.pt"),
        ("events.out.tfevents.1795495413.box.12.0", "events.out.tfevents.<time>.box.12.0"),
        ("m-1795495413123.bin", "m-<time>.bin"),
        ("wandb/offline-run-20261124_045344-ry2ko0jn/x", "wandb/offline-run-<time>-ry2ko0jn/x"),
        ("model_2026-11-24 04-34.pkl", "model_<time>.pkl"),
    ],
)
def test_times_are_taken_out(path, name):
    assert without_times(path) == name


@pytest.mark.parametrize(
    "path",
    [
        *(
            "model.pt",
            "epoch_12.pt",
            "fold_3/part-00012.parquet",
            "v1.2.3/model.bin",
            "1234567890123456789012",
        ),
        *("run_20261324.log", "2026.csv", "img_0431.png", "04-34.png", "a/10-20-30b"),
    ],
)
def test_other_numbers_stay(path):
    assert without_times(path) == path


def test_files_are_paired_by_what_is_left_of_their_names():
    ones = ["a_1795495413.pt", "b_1795495420.pt", "plain.txt", "c/20261124/m.json"]
    others = ["a_1795499413.pt", "b_1795499420.pt", "other.txt", "c/20261125/m.json", "d_20261125.txt"]
    assert pair_by_name(ones, others) == {
        "a_1795495413.pt": "a_1795499413.pt",
        "b_1795495420.pt": "b_1795499420.pt",
        "c/20261124/m.json": "c/20261125/m.json",
    }


def test_of_as_many_with_one_name_the_first_is_the_first():
    assert pair_by_name(["s_1795495413", "s_1795495419"], ["s_1795499002", "s_1795499001"]) == {
        "s_1795495413": "s_1795499001",
        "s_1795495419": "s_1795499002",
    }
    assert pair_by_name(["s_1795495413"], ["s_1795499001", "s_1795499002"]) == {}
