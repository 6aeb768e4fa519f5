"""What two runs do not share, told from what is known of them alone."""

import math

from hypothesis import given
from hypothesis import strategies as st

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.diff import MetricPair, Recorded, code_diff, data_of, diff_recorded, metric_pairs
from relive.core.digest import Digest
from relive.core.facts import FactGroup, Trees
from relive.core.recipe import Code, DataInput, Declared, Recipe
from relive.core.run import MetricSummary
from relive.core.trajectory import StepRecord, Trajectory
from relive.errors import BlobNotFound
from relive.formats.hashing import blake3_digest

NAN = math.nan


class Blobs:
    """Bytes by their digests."""

    def __init__(self) -> None:
        self.kept: dict[Digest, bytes] = {}

    def entry(self, path: str, data: bytes) -> ManifestEntry:
        digest = blake3_digest(data)
        self.kept[digest] = data
        return ManifestEntry(path=path, digest=digest, size_bytes=len(data))

    def tree(self, **files: bytes) -> Manifest:
        return Manifest.of([self.entry(name.replace("_", "."), data) for name, data in files.items()])

    def read(self, digest: Digest) -> bytes:
        if digest not in self.kept:
            raise BlobNotFound(kind="blob", name=digest)
        return self.kept[digest]


def metric(key: str, last: float) -> MetricSummary:
    return MetricSummary(
        run_id="r", key=key, last=last, last_step=0, min=last, max=last, first=last, count=1, at=0.0
    )


def recorded(run_id: str, tree: Manifest, **more: object) -> Recorded:
    values: dict[str, object] = {
        "recipe": Recipe(declared=Declared(command="python a.py", code=Code(manifest=blake3_digest(b"c")))),
        "lock": None,
        "trees": Trees(code=tree),
        "params": {},
        "metrics": (),
        "trajectory": None,
    }
    return Recorded(run_id=run_id, **(values | more))  # type: ignore[arg-type]


def test_metrics_differ_by_their_bits() -> None:
    before = [metric("same", 0.5), metric("nan", NAN), metric("zero", 0.0), metric("gone", 1.0)]
    after = [metric("same", 0.5), metric("nan", NAN), metric("zero", -0.0), metric("new", 2.0)]
    assert list(metric_pairs(before, after)) == [
        MetricPair(key="gone", before=1.0, after=None),
        MetricPair(key="new", before=None, after=2.0),
        MetricPair(key="zero", before=0.0, after=-0.0),
    ]


def test_code_is_compared_line_by_line() -> None:
    blobs = Blobs()
    before = blobs.tree(a_py=b"x = 1\ny = 2\n", gone_py=b"1\n", same_py=b"s\n")
    after = blobs.tree(a_py=b"x = 1\ny = 3\n", new_py=b"2\n", same_py=b"s\n")
    assert list(code_diff(before, after, blobs.read)) == [
        *("--- a/a.py", "+++ b/a.py", "@@ -1,2 +1,2 @@", " x = 1", "-y = 2", "+y = 3"),
        *("--- a/gone.py", "+++ /dev/null", "@@ -1 +0,0 @@", "-1"),
        *("--- /dev/null", "+++ b/new.py", "@@ -0,0 +1 @@", "+2"),
    ]


def test_what_cannot_be_shown_by_lines_is_named() -> None:
    blobs = Blobs()
    before = blobs.tree(binary_bin=b"\xff\xfe", long_txt=b"1" * 20, lost_py=b"1\n")
    after = blobs.tree(long_txt=b"2" * 20, lost_py=b"2\n")
    del blobs.kept[blake3_digest(b"1\n")]
    assert list(code_diff(before, after, blobs.read, most_bytes=10)) == [
        "a/binary.bin and /dev/null differ",
        "a/long.txt and b/long.txt differ",
        "a/lost.py and b/lost.py differ",
    ]


def test_a_link_is_compared_by_where_it_leads() -> None:
    before, after = (Manifest.of([ManifestEntry(path="l", link=to)]) for to in ("x", "y"))
    lines = list(code_diff(before, after, Blobs().read))
    assert lines[-2:] == ["-link to x", "+link to y"]


def test_inputs_whose_files_are_lost_are_left_out() -> None:
    kept = Blobs().tree(x_csv=b"1")
    deps = [
        DataInput(path="train.py", manifest=blake3_digest(b"code"), size_bytes=1, origin="code"),
        DataInput(path="here", manifest=blake3_digest(b"here"), size_bytes=1, origin="file"),
        DataInput(path="lost", manifest=blake3_digest(b"lost"), size_bytes=1, origin="file"),
    ]
    declared = Declared(command="c", code=Code(manifest=blake3_digest(b"c")), data=tuple(deps))

    def fetch(digest: Digest) -> Manifest:
        if digest == blake3_digest(b"lost"):
            raise BlobNotFound(kind="blob", name=digest)
        return kept

    assert data_of(Recipe(declared=declared), fetch) == {"here": kept}


def test_two_runs_are_compared_in_inputs_metrics_and_steps() -> None:
    blobs = Blobs()
    steps = [
        Trajectory(steps=(StepRecord(stream="step:s", step=0, values={"loss": loss}),)) for loss in ("1", "2")
    ]
    one = recorded(
        "one", blobs.tree(a_py=b"1"), params={"lr": 1}, metrics=(metric("m", 1.0),), trajectory=steps[0]
    )
    other = recorded(
        "other", blobs.tree(a_py=b"2"), params={"lr": 2}, metrics=(metric("m", 2.0),), trajectory=steps[1]
    )
    found = diff_recorded(one, other)
    assert (found.before, found.after, found.same_inputs) == ("one", "other", True)
    assert [(it.group, it.name) for it in found.inputs] == [
        (FactGroup.PARAMS, "lr"),
        (FactGroup.CODE, "a.py"),
    ]
    assert found.metrics == (MetricPair(key="m", before=1.0, after=2.0),)
    assert found.steps is not None
    assert found.steps.first_divergence is not None
    assert diff_recorded(one, recorded("other", blobs.tree(a_py=b"1"))).steps is None


@given(st.dictionaries(st.sampled_from("abc"), st.floats()))
def test_nothing_differs_from_itself(values: dict[str, float]) -> None:
    metrics = [metric(key, value) for key, value in values.items()]
    assert list(metric_pairs(metrics, metrics)) == []
