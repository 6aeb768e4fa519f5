"""Pushes as people do them: at once, by force, interrupted, too large, with a dead token."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.core.pipeline import Pipeline, PipelineStatus, StageStatus
from relive.wire.hub import CreateToken
from tests.e2e.hub import PATIENCE_S, RealHub, Repository, make_repository, running_hub, wait_for
from tests.e2e.invariants import MANY, assert_sound, await_rest, facts_of
from tests.e2e.tiny import Gate, push_in_background, waiting

TWO_STAGES = """\
version: 1
stages:
  first: {cmd: "cat a.txt > first.txt", deps: [a.txt], outs: [first.txt]}
  second: {cmd: "cat first.txt b.txt > second.txt", deps: [first.txt, b.txt], outs: [second.txt]}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub that takes small pushes only."""
    with running_hub(tmp_path_factory.mktemp("home"), RELIVE_PUSH_LIMIT_MIB="2") as running:
        yield running


@pytest.fixture
def gate(place: Path) -> Gate:
    """An open gate: a command that came here is counted."""
    gate = Gate(place / "gate")
    gate.open()
    return gate


def clone(repository: Repository, folder: Path) -> Repository:
    """Clone what a colleague pushed."""
    remote = repository.git("remote", "get-url", "relive").stdout.strip()
    folder.mkdir()
    other = Repository(repository.hub, folder)
    other.git("init", "--quiet", "--initial-branch=main")
    (folder / "relive.yaml").write_text((repository.folder / "relive.yaml").read_text())
    repository.hub.relive("init", str(folder), "--project", repository.folder.name)
    assert other.git("remote", "get-url", "relive").stdout.strip() == remote
    other.git("fetch", "--quiet", "relive")
    other.git("reset", "--quiet", "--hard", "relive/main")
    return other


def pipelines(hub: RealHub, project: str) -> list[Pipeline]:
    """Give a project's pipelines, oldest first."""
    with facts_of(hub) as facts:
        found = facts.store.list_pipelines(project_id=facts.store.get_project(project).id, limit=MANY)
    return sorted(found, key=lambda it: it.number)


def test_of_two_pushes_at_once_to_a_branch_one_is_told_to_pull_first(
    hub: RealHub, place: Path, gate: Gate
) -> None:
    ada = make_repository(hub, place / "race", waiting(gate))
    ada.push()
    grace = clone(ada, place / "grace")
    commits = {ada.commit({"ada.txt": "1"}), grace.commit({"grace.txt": "1"})}
    pushes = [push_in_background(it, "-o", "nowait") for it in (ada, grace)]
    said = [push.communicate(timeout=PATIENCE_S)[0] for push in pushes]
    assert sorted(push.returncode for push in pushes) == [0, 1], said
    late = grace if pushes[0].returncode == 0 else ada
    late.git("pull", "--quiet", "--rebase", "relive", "main")
    late.push("-o", "nowait")
    await_rest(hub, "race", pipelines=3)
    assert_sound(hub)
    assert len(commits & {it.commit for it in pipelines(hub, "race")}) == 1
    assert len(gate.starts()) == 3


def test_pushes_to_two_branches_and_two_projects_at_once_are_all_run(
    hub: RealHub, place: Path, gate: Gate
) -> None:
    one = make_repository(hub, place / "one", waiting(gate))
    two = make_repository(hub, place / "two", waiting(gate))
    one.commit({"more.txt": "1"})
    one.git("branch", "feature", "HEAD~1")
    pushes = [
        subprocess.Popen(
            ["git", "push", "-o", "nowait", "relive", branch],
            cwd=repository.folder,
            env=hub.env,
            stderr=subprocess.DEVNULL,
        )
        for repository, branch in ((one, "main"), (one, "feature"), (two, "main"))
    ]
    assert [push.wait(PATIENCE_S) for push in pushes] == [0, 0, 0]
    await_rest(hub, "one", pipelines=2)
    await_rest(hub, "two", pipelines=1)
    assert_sound(hub)
    assert {it.ref for it in pipelines(hub, "one")} == {"refs/heads/main", "refs/heads/feature"}


def test_a_forced_push_runs_and_the_commit_it_leaves_is_kept(hub: RealHub, place: Path, gate: Gate) -> None:
    repository = make_repository(hub, place / "forced", waiting(gate))
    left = repository.git("rev-parse", "HEAD").stdout.strip()
    repository.push()
    repository.git("commit", "--quiet", "--amend", "--message", "another history")
    assert "non-fast-forward" in repository.push(check=False) + repository.push(check=False)
    repository.push("--force")
    assert [it.status for it in pipelines(hub, "forced")] == [PipelineStatus.SUCCEEDED] * 2
    repository.hub.relive("pipeline", "rerun", "forced:1")  # its commit is on no branch any more
    assert pipelines(hub, "forced")[-1].commit == left


def test_a_deleted_branch_and_a_tag_start_nothing(hub: RealHub, place: Path, gate: Gate) -> None:
    repository = make_repository(hub, place / "gone", waiting(gate))
    repository.git("push", "relive", "main:main", "main:short-lived")
    before = len(pipelines(hub, "gone"))
    assert "nothing to run" in repository.git("push", "relive", ":short-lived").stderr
    repository.git("tag", "v1")
    assert "nothing to run" in repository.git("push", "relive", "v1").stderr
    assert len(pipelines(hub, "gone")) == before == 2
    moved = [event.facts["ref"] for event in hub.client().list_events(project="gone", kind="push")]
    assert sorted(moved) == sorted(
        ["refs/heads/main", "refs/heads/short-lived", "refs/heads/short-lived", "refs/tags/v1"]
    )


def test_ctrl_c_detaches_and_the_pipeline_goes_on(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "closed")
    repository = make_repository(hub, place / "detached", waiting(gate))
    push = subprocess.Popen(
        ["git", "push", "relive", "main"],
        cwd=repository.folder,
        env=hub.env,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    gate.await_start()
    os.killpg(push.pid, signal.SIGINT)  # as a terminal does
    push.communicate(timeout=PATIENCE_S)
    gate.open()
    await_rest(hub, "detached", pipelines=1)
    assert_sound(hub)
    assert [it.status for it in pipelines(hub, "detached")] == [PipelineStatus.SUCCEEDED]
    assert "Everything up-to-date" in repository.push()


def test_nowait_returns_while_the_pipeline_runs(hub: RealHub, place: Path) -> None:
    gate = Gate(place / "closed")
    repository = make_repository(hub, place / "nowait", waiting(gate))
    said = repository.push("-o", "nowait")  # it would not come back from a closed gate
    assert "relive pipeline watch" in said
    gate.await_start()
    assert not pipelines(hub, "nowait")[0].status.is_final
    gate.open()
    await_rest(hub, "nowait", pipelines=1)


def test_no_token_is_written_where_git_keeps_its_things(hub: RealHub, place: Path, gate: Gate) -> None:
    repository = make_repository(hub, place / "secret", waiting(gate))
    said = repository.push()
    (token,) = [text for text in (hub.home / "tokens.json").read_text().split('"') if text.startswith("rlv_")]
    secret = token.rsplit("_", 1)[1].encode()
    holders = [
        it for it in (repository.folder / ".git").rglob("*") if it.is_file() and secret in it.read_bytes()
    ]
    assert holders == []
    assert "@" not in repository.git("remote", "get-url", "relive").stdout
    assert secret.decode() not in said + repository.git("config", "--list").stdout
    assert secret not in hub.log().encode()


def test_a_push_with_a_revoked_token_says_what_is_wrong_and_what_to_do(
    hub: RealHub, place: Path, gate: Gate
) -> None:
    repository = make_repository(hub, place / "revoked", waiting(gate))
    token = hub.client().create_token(CreateToken(label="a laptop that was stolen"))
    theirs = RealHub(hub.home, hub.options, {**hub.variables, "RELIVE_TOKEN": token}, hub.port)
    thief = Repository(theirs, repository.folder)
    thief.push()
    (known,) = [it for it in hub.client().list_tokens() if it.label == "a laptop that was stolen"]
    hub.client().revoke_token(known.id)
    thief.commit({"stolen.txt": "1"})
    said = thief.push(check=False)
    assert "revoked" in said
    assert "relive login" in said
    assert len(pipelines(hub, "revoked")) == 1


def test_a_push_beyond_the_limit_is_refused_with_the_way_out_and_keeps_nothing(
    hub: RealHub, place: Path, gate: Gate
) -> None:
    repository = make_repository(hub, place / "large", waiting(gate))
    (repository.folder / "data.bin").write_bytes(os.urandom(4 << 20))
    repository.commit({})
    said = repository.push(check=False)
    assert "larger than 2 MiB" in said
    assert "data belongs outside git" in said
    assert pipelines(hub, "large") == []
    size = sum(it.stat().st_size for it in (hub.home / "hub/git/large.git").rglob("*") if it.is_file())
    assert size < 1 << 20
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.push()
    assert [it.status for it in pipelines(hub, "large")] == [PipelineStatus.SUCCEEDED]


def test_a_rerun_from_a_stage_takes_only_what_comes_before_it_from_the_cache(
    hub: RealHub, place: Path
) -> None:
    files = {"relive.yaml": TWO_STAGES, "a.txt": "a\n", "b.txt": "b\n"}
    repository = make_repository(hub, place / "stages", files)
    repository.push()
    repository.commit({"b.txt": "c\n"})
    repository.push()
    assert statuses(repository, 2) == {"first": StageStatus.CACHED, "second": StageStatus.SUCCEEDED}
    why = hub.relive("pipeline", "why", "stages:2").stdout
    assert "b.txt" in why
    hub.relive("pipeline", "rerun", "stages:2")
    assert set(statuses(repository, 3).values()) == {StageStatus.CACHED}
    hub.relive("pipeline", "rerun", "stages:2", "--from", "second")
    assert statuses(repository, 4) == {"first": StageStatus.CACHED, "second": StageStatus.SUCCEEDED}
    assert "the re-run asked for it" in hub.relive("pipeline", "why", "stages:4", "--stage", "second").stdout
    refused = hub.relive("pipeline", "rerun", "stages:2", "--from", "third", check=False)
    assert refused.returncode != 0
    assert "first, second" in refused.stderr
    assert_sound(hub)


def test_a_hook_socket_that_was_taken_away_comes_back(hub: RealHub, place: Path, gate: Gate) -> None:
    repository = make_repository(hub, place / "unheard", waiting(gate))
    socket = hub.home / "hub/run/hook.sock"
    socket.unlink()
    wait_for(socket.exists)
    assert "pipeline unheard #1" in repository.push()


def statuses(repository: Repository, number: int) -> dict[str, StageStatus]:
    """Give the status of each stage of the file."""
    stages = repository.pipeline(number).stages
    return {stage.key: stage.status for stage in stages if stage.planned.spec.cmd}
