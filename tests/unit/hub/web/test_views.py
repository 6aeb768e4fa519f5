"""What the other pages show of the story."""

import json
import random
import shlex

import pytest

from relive.core.run import Metric, Run, RunKind, RunStatus
from relive.core.trajectory import Verdict, VerdictLevel
from relive.errors import NotFound
from relive.hub.web.views import (
    artifacts,
    endpoints,
    home,
    hub,
    models,
    pipelines,
    projects,
    recipe,
    run,
    verdicts,
)
from relive.hub.web.views.spark import Value, spark
from relive.services import activity, lineage
from tests.support.seed import Clock, Seeder


def made(**more) -> Run:
    values = {"id": "a" * 32, "project_id": "p", "experiment_id": "e", "name": "n", "kind": RunKind.STAGE}
    return Run(**(values | {"status": RunStatus.FINISHED, "recipe": "blake3:x"} | more))


# --- verdicts ------------------------------------------------------------------------------------------


def test_the_banner_says_the_last_verdict():
    old = Verdict(level=VerdictLevel.DIVERGED, reason="Differs.", at=1.0)
    new = Verdict(level=VerdictLevel.BIT_EXACT, reason="Equal: 2 metrics.", at=2.0)
    shown = verdicts.banner(made(), [new, old])
    assert (shown.mark.word, shown.sentence, shown.at) == ("bit-exact", "Equal: 2 metrics.", 2.0)
    assert shown.url == f"/r/{'a' * 32}/replay"


@pytest.mark.parametrize(
    ("run_", "begin", "has_command"),
    [
        (made(), "Its recipe is complete", True),
        (made(recipe=""), "It cannot be replayed", False),
        (made(status=RunStatus.RUNNING, recipe=""), "It can be replayed when it has ended", True),
    ],
)
def test_the_banner_of_a_run_that_was_never_replayed(run_, begin, has_command):
    shown = verdicts.banner(run_, [])
    assert shown.mark.word == "never replayed"
    assert shown.sentence.startswith(begin)
    assert bool(shown.command) is has_command


def test_the_evidence_names_the_first_step_and_the_inputs(services, site):
    (found,) = run.get_replays(services, site.run("notebook: try dropout", "digits")).verdicts
    assert ("Parts first at", "weights:SGD#0, step 7: layer1.weight") in found.facts
    assert found.inputs_differ == ("OMP_NUM_THREADS: 2 → 8",)
    assert [(m.key, m.difference, m.limit, m.mark.word) for m in found.metrics] == [
        ("val/accuracy", "0.0408", "0.02", "outside")
    ]
    assert found.outs[0][2].glyph == "≠"


# --- runs ----------------------------------------------------------------------------------------------


def test_the_overview_of_a_run(services, site):
    view = run.get_overview(services, site.run("train #6", "digits"))
    assert [(h.key, h.text) for h in view.headlines[:2]] == [("accuracy", "0.9917"), ("log_loss", "0.1041")]
    assert dict(view.facts)["Peak memory"] == "412 MB"
    assert view.versions[0][:2] == ("digits v3", "/m/digits/v/3")
    assert view.head.pipeline == 6
    assert [tab.name for tab in view.head.tabs][-1] == "Lineage"


def test_a_failed_run_says_why_first(services, site):
    view = run.get_overview(services, site.run("test #3", "digits"))
    assert view.head.problem == "exit code 1: 1 of 14 tests failed"
    assert view.head.tabs[-1].note == "13/14"
    report = run.get_tests(services, view.head.id).report
    assert report is not None
    assert report.failures[0][0].endswith("test_no_image_is_in_both_splits")


def test_a_run_is_found_by_the_beginning_of_its_id(services, site):
    full = site.run("train #6", "digits")
    assert run.get_head(services, full[:8]).id == full


def test_a_thousand_metrics_are_twelve_charts_and_a_search(services):
    project = services.store.get_project("ideas")
    store = services.store
    seeded = Seeder(services, Clock(store.now())).run(project, "wide")
    points = [Metric(f"layer{n // 10:03d}/grad{n % 10}", float(s), s) for n in range(1000) for s in range(2)]
    store.record_metrics(seeded.id, points)
    tab = run.get_charts(services, seeded.id)
    assert (len(tab.charts), tab.total, tab.next_first) == (12, 1000, 12)
    assert tab.groups[0] == ("layer000/", 10)
    found = run.get_charts(services, seeded.id, find="layer042/")
    assert (len(found.charts), found.next_first) == (10, 0)
    assert "from 0 to 1 at step 1" in found.charts[0].sentence


# --- inputs --------------------------------------------------------------------------------------------


def test_every_input_is_pinned_unpinned_or_unknown(services, site):
    tab = recipe.get_inputs(services, site.run("train #6", "digits"))
    groups = {group.name: group for group in tab.groups}
    assert list(groups)[:3] == ["Code", "Data", "Command"]
    assert groups["Code"].mark.word == "unpinned"
    assert [item.name for item in groups["Code"].items if item.mark.word == "unpinned"] == [".env"]
    assert groups["Packages"].summary == "11 packages locked by hash, from requirements.txt"
    assert all(item.identity.startswith("sha256:") for item in groups["Packages"].items)
    assert groups["Shared libraries"].folded
    assert (tab.unpinned, tab.unknown) == (1, 0)


def test_a_run_without_a_lock_or_commit_says_so(services, site):
    tab = recipe.get_inputs(services, site.run("notebook: try dropout", "digits"))
    groups = {group.name: group for group in tab.groups}
    assert groups["Packages"].mark.word == "unknown"
    assert groups["Code"].items[0].value == "outside a repository"
    assert all(item.hint for group in tab.groups for item in group.items if item.mark.word == "unknown")


def test_a_run_that_goes_on_has_no_inputs_yet(services, site):
    assert recipe.get_inputs(services, site.run("train #7", "digits")).groups == ()


# --- artifacts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("reports/confusion.png", "image"),
        ("reports/errors.csv", "table"),
        ("reports/notes.txt", "text"),
        ("model/labels.json", "text"),
    ],
)
def test_a_look_into_a_file(services, site, path, kind):
    tab = artifacts.get_artifacts(services, site.run("train #6", "digits"), path=path)
    assert tab.preview is not None
    assert tab.preview.kind == kind
    assert path in [line.path for line in tab.files]


def test_a_table_shows_its_first_rows_and_json_is_set_in_lines(services, site):
    run_id = site.run("train #6", "digits")
    table = artifacts.get_artifacts(services, run_id, path="reports/errors.csv").preview
    assert table is not None
    assert (table.header, table.rows[1]) == (("row", "digit", "predicted"), ("1", "1", "3"))
    text = artifacts.get_artifacts(services, run_id, path="model/labels.json").preview
    assert text is not None
    assert text.text.startswith('{\n  "digits"')


def test_a_file_that_is_not_there_is_said(services, site):
    with pytest.raises(NotFound):
        artifacts.get_artifacts(services, site.run("train #6", "digits"), path="../secret")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF0000WEBPVP8 ", "image/webp"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_only_bytes_that_are_a_picture_are_shown_as_one(head, kind):
    assert artifacts.picture_type(head) == kind


# --- pipelines -----------------------------------------------------------------------------------------


def test_a_pipeline_that_a_gate_stopped(services):
    page = pipelines.get_pipeline(services, "digits", 2)
    stages = {stage.key: stage for stage in page.stages}
    assert page.mark.word == "stopped by a gate"
    assert [gate.ok for gate in stages["gate"].gates] == [False, False]
    assert stages["deploy"].mark.word == "skipped"
    assert stages["build"].took_s is None
    assert not page.is_live
    assert page.log is not None
    assert page.log.stage == "train"


def test_the_graph_names_every_stage_and_folds_a_large_matrix(services):
    small = pipelines.get_pipeline(services, "digits", 6).graph
    assert small is not None
    assert [node.node.label for node in small.nodes][:2] == ["environment", "build"]
    assert len(small.nodes) == 8
    large = pipelines.get_pipeline(services, "churn", 1).graph
    assert large is not None
    folded = next(node.node for node in large.nodes if node.node.label.startswith("train"))
    assert (folded.label, folded.detail) == ("train × 12", "9 passed · 3 cached")
    assert len(large.nodes) == 5


def test_the_running_stage_has_the_log_and_another_can_be_asked_for(services):
    page = pipelines.get_pipeline(services, "digits", 7)
    assert page.log is not None
    assert (page.log.stage, page.log.is_live) == ("train", True)
    other = pipelines.get_pipeline(services, "digits", 6, stage="test")
    assert other.log is not None
    assert "14 passed" in other.log.piece.lines[-1].text


def test_a_broken_file_is_told_whole(services):
    page = pipelines.get_pipeline(services, "digits", 5)
    assert page.stages == ()
    assert page.graph is None
    assert 'the nearest is "needs"' in page.problem


def test_why_a_stage_ran_is_told(services):
    stages = {stage.key: stage for stage in pipelines.get_pipeline(services, "digits", 6).stages}
    why = stages["train"].why
    assert why is not None
    assert why.compared_with == 4
    assert any("train.py" in change for change in why.changes)


def test_what_was_seen_changes_with_what_is_shown(services):
    first = pipelines.get_pipeline(services, "digits", 6).seen
    assert pipelines.get_pipeline(services, "digits", 6).seen == first
    assert pipelines.get_pipeline(services, "digits", 4).seen != first
    assert pipelines.seen_of(["ab", "c"]) != pipelines.seen_of(["a", "bc"])


def test_pipelines_are_listed_newest_first(services):
    page = pipelines.list_pipelines(services, "digits")
    assert [line.number for line in page.lines] == [7, 6, 5, 4, 3, 2, 1]
    assert page.lines[0].progress == "4 of 8 done, train running"
    assert page.is_live


# --- projects and home ---------------------------------------------------------------------------------


def test_a_project_shows_champion_endpoint_and_trend(services):
    page = projects.get_project(services, "digits")
    (champion,) = page.champions
    assert (champion.model, champion.version) == ("digits", 3)
    assert page.trend_of == "accuracy"
    assert (page.trend_last, page.trend_best) == (0.9917, 0.9917)
    assert page.endpoints[0].version == "digits v3"


def test_home_tells_what_runs_what_is_broken_and_what_waits(services):
    page = home.get_home(services)
    assert [(line.project, line.number) for line in page.active] == [("churn", 2), ("digits", 7)]
    assert {(line.project, line.number) for line in page.broken} == {("digits", 5), ("digits", 2)}
    assert page.waiting == ("1 job waits for a slot of pool local",)
    assert not page.is_empty


def test_a_branch_whose_next_push_passed_is_not_broken(services):
    """Pipeline 3 failed on main, 4 passed there."""
    broken = activity.standing(services).broken
    assert 3 not in [pipeline.number for pipeline in broken]


def test_the_feed_leaves_out_the_steps_inside_pipelines(services):
    kinds = {event.kind for event in activity.feed(services, limit=400)}
    assert "push" in kinds
    assert not any(kind.startswith(("stage.", "run.")) for kind in kinds)


@pytest.mark.parametrize(
    ("key", "less"),
    [
        ("val/loss", True),
        ("log_loss", True),
        ("RMSE", True),
        ("accuracy", False),
        ("glossary", False),
        ("auc", False),
    ],
)
def test_which_metrics_are_better_when_small(key, less):
    assert projects.is_less_better(key) is less


def test_a_trend_needs_two_numbers():
    assert spark([Value(value=1.0, title="one")], "x") is None
    assert spark([Value(value=1.0, title="a"), Value(value=float("nan"), title="b")], "x") is None
    drawn = spark([Value(value=v, title=str(v)) for v in (1.0, 3.0, 2.0)], "x", width=100, height=20)
    assert drawn is not None
    assert [dot.y for dot in drawn.dots] == [17.0, 3.0, 10.0]
    flat = spark([Value(value=1.0, title="a"), Value(value=1.0, title="b")], "x")
    assert flat is not None


# --- models, endpoints, hub ----------------------------------------------------------------------------


def test_a_version_may_ship_when_every_check_has_its_evidence(services):
    page = models.get_version(services, "digits", "2")
    assert page.ships[0].word == "Yes"
    assert [check.mark.word for check in page.checks] == ["yes", "yes", "yes", "yes", "yes", "open"]
    assert page.metrics[0] == ("accuracy", "0.9889", "−0.0028")


def test_a_version_that_was_never_replayed_is_not_proven(services):
    page = models.get_version(services, "digits", "champion")
    assert page.version == 3
    assert page.ships[0].word == "Not proven"
    assert "Can it be made again?" in page.ships[1]


def test_verifying_checks_signature_and_bytes(services):
    page = models.get_version(services, "digits", "2", verify=True)
    assert page.verified is not None
    assert page.verified.mark.word == "verified"
    assert models.get_version(services, "digits", "2").verified is None


def test_models_show_their_champion(services):
    (line,) = models.list_models(services)
    assert line.champion is not None
    assert (line.name, line.champion.version, line.endpoints) == ("digits", 3, ("digits",))
    assert line.keys[0] == "accuracy"


def test_an_endpoint_offers_its_recorded_rows_and_the_way_back(services):
    page = endpoints.get_endpoint(services, "digits")
    assert page.rollback_to == "digits v2"
    assert [(line.number, line.role) for line in page.revisions] == [
        (3, "live"),
        (2, "kept for rollback"),
        (1, ""),
    ]
    assert '"shape": [2, 64]' in page.example
    assert [ref for ref, _ in page.others] == ["2", "1"]


def test_compute_tells_what_waits(services):
    (pool,) = hub.list_pools(services)
    assert (pool.name, pool.queued, pool.running) == ("local", 1, 0)
    assert pool.jobs[0].what == "stage prepare"


def test_events_are_sentences(services):
    lines = hub.list_events(services, project="digits").lines
    said = [line.sentence for line in lines]
    assert "champion of digits is now v3, was v2" in said
    assert "endpoint digits now serves revision 3 (digits v3)" in said
    assert any(sentence.startswith("pipeline #2 was stopped by a gate") for sentence in said)
    assert {line.kind for line in hub.list_events(services, kind="push").lines} == {"push"}


# --- lineage -------------------------------------------------------------------------------------------


def test_the_lineage_of_a_run_reaches_from_commit_to_endpoint(services, site):
    found = lineage.of_run(services, site.run("train #6", "digits"))
    kinds = {node.id: node.kind for node in found.nodes}
    assert set(kinds.values()) == {"commit", "data", "run", "model_version", "endpoint"}
    edges = {(kinds[source], kinds[target]) for source, target in found.edges}
    assert edges == {
        ("commit", "run"),
        ("run", "data"),
        ("data", "run"),
        ("run", "model_version"),
        ("model_version", "endpoint"),
    }


def test_a_run_knows_who_used_what_it_made(services, site):
    found = lineage.of_run(services, site.run("prepare #6", "digits"))
    assert "train #6" in [node.label for node in found.nodes]


def test_the_lineage_of_an_endpoint_and_of_an_old_version(services):
    served = lineage.of_endpoint(services, "digits")
    assert [node.label for node in served.nodes if node.kind == "model_version"] == ["digits v3"]
    old = lineage.of_version(services, services.store.get_version("digits", "1"))
    assert not [node for node in old.nodes if node.kind == "endpoint"]


def test_a_lineage_has_a_bound(services, site):
    near = lineage.of_run(services, site.run("train #6", "digits"), hops=1)
    assert len(near.nodes) <= lineage.MOST_NODES
    assert len(near.nodes) < len(lineage.of_run(services, site.run("train #6", "digits")).nodes) + 1


def test_the_command_of_an_endpoint_can_be_pasted_into_a_shell(services):
    command = shlex.split(endpoints.get_endpoint(services, "digits").command)
    request = json.loads(command[command.index("-d") + 1])
    assert request["inputs"][0]["shape"] == [2, 64]
    assert len(request["inputs"][0]["data"]) == 128
    assert command[1].endswith("/v2/models/digits/infer")


def test_a_replay_shows_the_verdict_on_itself(services, site):
    store = services.store
    original = store.get_run(site.run("train #1", "digits"))
    project = store.get_project("digits")
    seeder = Seeder(services, Clock(store.now()), random.Random(99))
    copy = seeder.run(project, "replay of train #1", kind=RunKind.REPLAY, replay_of=original.id)
    assert verdicts.verdicts_on(services, copy) == []
    seeder.verdict(original, VerdictLevel.WITHIN_TOLERANCE, "Nearly equal.", replay_run_id=copy.id)
    shown = run.get_head(services, copy.id).banner
    assert (shown.mark.word, shown.url) == ("within tolerance", f"/r/{original.id}/replay")
    assert shown.sentence == f"A copy of {original.id[:8]}. Nearly equal."
    assert original.id in [node.id[4:] for node in lineage.of_run(services, copy.id).nodes]
