"""Files that were left undeclared: evidence for a replay where there is no other."""

from relive.core.compare import Comparison, judge
from relive.core.left import (
    DIFFERS,
    ONLY_RECORDED,
    ONLY_REPLAYED,
    SAME_BUT_TIMES,
    SAME_BYTES,
    compare_files,
)
from relive.core.trajectory import VerdictLevel


def test_files_are_compared_by_path():
    recorded = {"a": "1", "b": "2", "gone": "3", ".env": ""}
    replayed = {"a": "1", "b": "9", "new": "4", ".env": ""}
    assert compare_files(recorded, replayed) == {
        "a": SAME_BYTES,
        "b": DIFFERS,
        "gone": ONLY_RECORDED,
        "new": ONLY_REPLAYED,
    }


def test_files_named_by_the_time_are_compared_with_those_of_the_replay():
    recorded = {"run_1795495413/m.pkl": "1", "run_1795495413/log": "2", "b": "3"}
    replayed = {"run_1795499876/m.pkl": "1", "run_1795499876/log": "9", "b": "3"}
    assert compare_files(recorded, replayed) == {
        "b": SAME_BYTES,
        "run_1795495413/log": DIFFERS,
        "run_1795495413/m.pkl": SAME_BYTES,
    }


def test_equal_files_are_an_equal_result_where_there_is_nothing_else():
    verdict = judge({}, {}, files={"m.cbm": SAME_BYTES, "log.csv": SAME_BYTES})
    assert (verdict.level, verdict.reason) == (VerdictLevel.BIT_EXACT, "Equal: 2 files that it wrote.")
    assert verdict.files == {"m.cbm": SAME_BYTES, "log.csv": SAME_BYTES}


def test_other_bytes_do_not_say_that_the_result_is_another():
    verdict = judge({}, {}, files={"m.pkl": DIFFERS, "log.csv": SAME_BYTES})
    assert verdict.level is VerdictLevel.NOT_COMPARABLE
    assert "of 2 files that were written 1 are not equal: m.pkl (differs)" in verdict.reason
    assert "--metrics" in verdict.reason


def test_an_out_that_is_equal_but_for_times_has_not_diverged_and_is_not_bit_exact():
    verdict = judge({"acc": 0.5}, {"acc": 0.5}, outs={"report.txt": SAME_BUT_TIMES, "m": SAME_BYTES})
    assert (verdict.level, verdict.reason) == (
        VerdictLevel.WITHIN_TOLERANCE,
        "Equal: 1 metric, 1 out. Equal but for the times and the folder of the run: report.txt.",
    )
    alone = judge({}, {}, outs={"report.txt": SAME_BUT_TIMES})
    assert alone.reason == "Equal but for the times and the folder of the run: report.txt."
    other = judge({}, {}, outs={"report.txt": SAME_BUT_TIMES, "m": DIFFERS})
    assert (other.level, "Differs first in out m" in other.reason) == (VerdictLevel.DIVERGED, True)


def test_with_nothing_to_compare_it_is_said_what_to_name():
    verdict = judge({}, {})
    assert verdict.level is VerdictLevel.NOT_COMPARABLE
    assert verdict.reason.endswith("step to compare: name a metric (--metrics FILE) or an out (--out PATH).")


def test_a_file_of_one_side_alone_is_no_equal_result():
    assert judge({}, {}, files={"a": SAME_BYTES, "b": ONLY_REPLAYED}).level is VerdictLevel.NOT_COMPARABLE


def test_where_metrics_decide_files_are_only_told_of():
    files = {"m.pkl": DIFFERS, "log.csv": SAME_BYTES}
    equal = judge({"acc": 0.5}, {"acc": 0.5}, files=files)
    assert equal.level is VerdictLevel.BIT_EXACT
    assert equal.reason == (
        "Equal: 1 metric, 1 file. Undeclared files with other bytes, which need not matter: m.pkl."
    )
    assert judge({"acc": 0.5}, {"acc": 0.9}, files=files).level is VerdictLevel.DIVERGED


def test_where_steps_differ_equal_files_do_not_mend_it():
    longer = Comparison(steps_compared=3, extra_streams=("loss",))
    assert judge({}, {}, steps=longer, files={"a": SAME_BYTES}).level is VerdictLevel.NOT_COMPARABLE


def test_texts_that_say_when_they_were_written_are_compared_without_that():
    recorded = {"log": "1", "sum": "2", "new": "3", "1795495413.txt": "4"}
    replayed = {"log": "8", "sum": "9", "new": "7", "1795499876.txt": "6"}
    texts = ({"log": "a", "sum": "b", "1795495413.txt": "d"}, {"log": "a", "sum": "c", "1795499876.txt": "d"})
    assert compare_files(recorded, replayed, texts) == {
        "1795495413.txt": SAME_BUT_TIMES,
        "log": SAME_BUT_TIMES,
        "new": DIFFERS,
        "sum": DIFFERS,
    }


def test_equal_but_for_times_is_said_and_is_not_bit_exact():
    verdict = judge({}, {}, files={"log": SAME_BUT_TIMES, "m": SAME_BYTES})
    assert (verdict.level, verdict.reason) == (
        VerdictLevel.WITHIN_TOLERANCE,
        "Equal: 2 files that it wrote. Equal but for the times and the folder of the run: log.",
    )
    assert judge({}, {}, files={"log": SAME_BUT_TIMES, "m": DIFFERS}).level is VerdictLevel.NOT_COMPARABLE
    equal = judge({"acc": 0.5}, {"acc": 0.5}, files={"log": SAME_BUT_TIMES, "m": SAME_BYTES})
    assert (equal.level, equal.reason) == (
        VerdictLevel.BIT_EXACT,
        "Equal: 1 metric, 1 file. Equal but for the times and the folder of the run: log.",
    )
