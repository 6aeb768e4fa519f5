"""What every store promises of params, tags, artifacts, inputs, verdicts and the live log."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.core.run import Artifact, Input, Metric, RunRecords
from relive.core.tolerance import Noise
from relive.core.trajectory import (
    FirstDivergence,
    MetricDifference,
    StepPlace,
    StepWindow,
    Verdict,
    VerdictLevel,
    latest_verdict,
)
from relive.errors import Conflict, InvalidInput, NotFound, Superseded
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_run, new_id

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


class RecordContract:
    """Promises of `RunStore` about what a run records once, and what it may change."""

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(value=JSON)
    def test_any_json_is_a_param_and_may_be_said_twice(self, store: Store, value: Any) -> None:
        run = a_run(store)
        store.record_params(run.id, {"p": value})
        store.record_params(run.id, {"p": value, "q": 1})
        assert store.list_params([run.id]) == {run.id: {"p": value, "q": 1}}

    def test_a_batch_is_kept_whole_or_not_at_all(self, store: Store) -> None:
        run = a_run(store)
        batch = RunRecords(metrics=[Metric("loss", 0.5, 1, 2.0)], params={"lr": 0.1}, tags={"a": "1"})
        store.record_batch(run.id, batch, batch="one")
        store.record_batch(run.id, RunRecords(tags={"a": "2"}), batch="one")
        store.record_batch(run.id, RunRecords())
        changed = RunRecords(metrics=[Metric("loss", 9.0, 2, 3.0)], params={"lr": 0.2}, tags={"a": "3"})
        with pytest.raises(Conflict, match=r"lr"):
            store.record_batch(run.id, changed)
        with pytest.raises(Superseded):
            store.record_batch(run.id, batch, fence=7)
        assert store.get_series(run.id, "loss") == list(batch.metrics)
        assert (store.list_params([run.id]), store.list_tags([run.id])) == (
            {run.id: {"lr": 0.1}},
            {run.id: {"a": "1"}},
        )
        with pytest.raises(NotFound):
            store.record_batch(new_id(), batch)

    def test_a_param_never_changes(self, store: Store) -> None:
        run = a_run(store)
        store.record_params(run.id, {"lr": 0.1})
        with pytest.raises(Conflict, match=r"lr.*0\.1.*0\.2"):
            store.record_params(run.id, {"new": 1, "lr": 0.2})
        assert store.list_params([run.id]) == {run.id: {"lr": 0.1}}

    @pytest.mark.parametrize(
        ("params", "named"),
        [
            ({"lr": float("nan")}, "param 'lr'"),
            ({"opt": {"betas": [0.9, float("inf")]}}, r"param 'opt'\.betas\[1\]"),
            ({"p": object()}, "param 'p'|document"),
            ({"k" * 2001: 1}, "2000 bytes"),
            ({"a\0": 1}, "NUL"),
        ],
    )
    def test_a_param_that_cannot_be_kept_is_named(
        self, store: Store, params: dict[str, Any], named: str
    ) -> None:
        run = a_run(store)
        with pytest.raises(InvalidInput, match=named):
            store.record_params(run.id, {"good": 1} | params)
        assert store.list_params([run.id]) == {}

    def test_tags_change_and_go(self, store: Store) -> None:
        run, other = a_run(store), a_run(store)
        store.set_tags(run.id, {"a": "1", "b": "2"})
        store.set_tags(run.id, {"b": "3", "c": ""})
        store.set_tags(other.id, {"a": "x"})
        assert store.delete_tag(run.id, "a")
        assert not store.delete_tag(run.id, "never there")
        assert store.list_tags([run.id, other.id]) == {run.id: {"b": "3", "c": ""}, other.id: {"a": "x"}}
        assert store.list_tags([]) == {}
        with pytest.raises(NotFound):
            store.delete_tag(new_id(), "a")

    def test_a_tag_may_be_long(self, store: Store) -> None:
        run = a_run(store)
        store.set_tags(run.id, {"note": "é" * 1_000_000})
        assert store.list_tags([run.id])[run.id]["note"] == "é" * 1_000_000

    def test_an_artifact_is_replaced_by_its_path(self, store: Store) -> None:
        run = a_run(store)
        for path, size in (("model", 1), ("a/plot.png", 2), ("model", 2**40)):
            store.record_artifact(Artifact(run_id=run.id, path=path, manifest="m", size_bytes=size, files=1))
        assert [(it.path, it.size_bytes) for it in store.list_artifacts(run.id)] == [
            ("a/plot.png", 2),
            ("model", 2**40),
        ]

    def test_artifacts_go_by_their_paths(self, store: Store) -> None:
        run, other = a_run(store), a_run(store)
        for path in ("a", "b", "c"):
            for owner in (run, other):
                artifact = Artifact(run_id=owner.id, path=path, manifest="m", size_bytes=1, files=1)
                store.record_artifact(artifact)
        assert store.delete_artifacts(run.id, ["a", "c", "none"]) == 2
        assert store.delete_artifacts(run.id, []) == 0
        assert [it.path for it in store.list_artifacts(run.id)] == ["b"]
        assert len(store.list_artifacts(other.id)) == 3

    def test_an_artifact_is_no_folder_of_another(self, store: Store) -> None:
        run, other = a_run(store), a_run(store)
        for path in ("a", "b/c/d", "b.x", "b0"):
            store.record_artifact(Artifact(run_id=run.id, path=path, manifest="m", size_bytes=1, files=1))
        found = {
            path: store.find_overlapping_artifact(run.id, path)
            for path in ("a", "a/b", "a/b/c", "b", "b/c", "b/c/d", "b/c/d/e", "b/c/x", "c", "b.x.y")
        }
        assert {path: it.path for path, it in found.items() if it is not None} == {
            "a/b": "a",
            "a/b/c": "a",
            "b": "b/c/d",
            "b/c": "b/c/d",
            "b/c/d/e": "b/c/d",
        }
        assert store.find_overlapping_artifact(other.id, "a/b") is None

    def test_inputs_lead_both_ways(self, store: Store) -> None:
        source, run, other = a_run(store), a_run(store), a_run(store)
        edges = [
            Input(run_id=run.id, path="b", manifest="m1", origin="stage:prep", source_run_id=source.id),
            Input(run_id=run.id, path="a", manifest="m2", origin="file"),
            Input(run_id=other.id, path="b", manifest="m1", origin="stage:prep", source_run_id=source.id),
        ]
        store.record_inputs(edges)
        store.record_inputs(iter(edges[:1]))
        store.record_inputs([])
        assert store.list_inputs(run.id) == [edges[1], edges[0]]
        consumers = sorted(store.list_consumers(source.id), key=lambda edge: edge.run_id)
        assert consumers == sorted([edges[0], edges[2]], key=lambda edge: edge.run_id)
        assert store.list_consumers(run.id) == []

    def test_a_verdict_is_kept_with_all_it_says(self, store: Store, clock: ManualClock) -> None:
        run, replay = a_run(store), a_run(store)
        noise = Noise(n=3, mean=0.9, sd=0.01)
        difference = MetricDifference(
            key="acc", recorded=0.9, replayed=None, difference=None, limit=0.02, relative=False, ok=False
        )
        difference = msgspec.structs.replace(difference, basis="noise", noise=noise)
        first = store.record_verdict(
            Verdict(
                level=VerdictLevel.DIVERGED,
                run_id=run.id,
                replay_run_id=replay.id,
                metrics=(difference,),
                first_divergence=FirstDivergence(stream="loss", step=3, names=("w",)),
                last_equal=StepPlace(stream="loss", step=2),
                window=StepWindow(first=0, last=9),
                substitutes=("torch==2.3.1", "gpu"),
                machine="EPYC, 2 cores",
                by="ada",
                equal_inputs=True,
                facts={"tries": 1},
            )
        )
        assert (len(first.id), first.at) == (32, START)
        clock.advance(1)
        second = store.record_verdict(Verdict(level=VerdictLevel.BIT_EXACT, run_id=run.id, id="v2"))
        assert store.list_verdicts(run.id) == [first, second]
        assert latest_verdict([first, second]) == second, "the first judged some steps only"
        assert store.list_verdicts(replay.id) == []
        assert store.list_verdicts_of([replay.id, run.id]) == {run.id: [first, second]}
        with pytest.raises(NotFound):
            store.record_verdict(Verdict(level=VerdictLevel.UNRESOLVED, run_id=new_id()))


class LogContract:
    """Promises of `RunStore` about the live log."""

    def test_a_log_grows_by_what_is_new(self, store: Store) -> None:
        run = a_run(store)
        assert store.append_log(run.id, b"hello ", offset=0) == 6
        assert store.append_log(run.id, b"hello ", offset=0) == 6
        assert store.append_log(run.id, b"lo world", offset=3) == 11
        assert store.append_log(run.id, b"", offset=11) == 11
        assert store.read_log(run.id) == b"hello world"

    def test_beyond_a_gap_nothing_is_kept(self, store: Store) -> None:
        run = a_run(store)
        store.append_log(run.id, b"abc", offset=0)
        assert store.append_log(run.id, b"xyz", offset=9) == 3
        assert store.read_log(run.id) == b"abc"

    def test_a_log_holds_any_bytes(self, store: Store) -> None:
        run = a_run(store)
        data = bytes(range(256)) * 5000
        store.append_log(run.id, data, offset=0)
        assert store.read_log(run.id, limit=len(data)) == data

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        pieces=st.lists(st.binary(max_size=9), max_size=8), start=st.integers(0, 80), limit=st.integers(0, 80)
    )
    def test_any_part_can_be_read(self, store: Store, pieces: list[bytes], start: int, limit: int) -> None:
        run = a_run(store)
        length = 0
        for piece in pieces:
            length = store.append_log(run.id, piece, offset=length)
        assert store.read_log(run.id, start=start, limit=limit) == b"".join(pieces)[start : start + limit]

    def test_a_dropped_log_is_empty(self, store: Store) -> None:
        run, other = a_run(store), a_run(store)
        for it in (run, other):
            store.append_log(it.id, b"abc", offset=0)
        store.drop_live_log(run.id)
        assert store.read_log(run.id) == b""
        assert store.read_log(other.id) == b"abc"

    @pytest.mark.parametrize("offset", [-1])
    def test_a_negative_place_is_refused(self, store: Store, offset: int) -> None:
        run = a_run(store)
        with pytest.raises(InvalidInput, match="offset"):
            store.append_log(run.id, b"abc", offset=offset)
        with pytest.raises(InvalidInput, match="start"):
            store.read_log(run.id, start=offset)
