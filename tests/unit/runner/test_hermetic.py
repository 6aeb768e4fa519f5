"""The policy that is written for a hermetic run, and what is said of its walls afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest

from relive.capture.recorder import landlock
from relive.capture.recorder.borders import Borders
from relive.capture.recorder.reads import Opened
from relive.runner import hermetic
from relive.runner.commands import CommandPlan
from relive.runner.hermetic import Walls, confine, network_wall_of, unplug, walls_of


def plan(tmp_path: Path, **environment: str) -> CommandPlan:
    tree = tmp_path / "tree"
    tree.mkdir(exist_ok=True)
    return CommandPlan(
        commands=("python train.py",), workdir=tree, environment={"PATH": "/usr/bin", **environment}
    )


def confined(tmp_path: Path, *, network: bool = False, **environment: str) -> tuple[CommandPlan, Any]:
    given = plan(tmp_path, **environment)
    borders = Borders(
        tree=given.workdir,
        commit=frozenset({"train.py"}),
        declared=("data",),
        environment=("/env",),
        began_at_ns=7,
    )
    folder = tmp_path / "run"
    folder.mkdir()
    made = confine(given, borders, folder, network=network)
    assert made.policy is not None
    return made, json.loads(made.policy.read_bytes())


def test_home_and_temporary_folders_are_the_runs_own(tmp_path: Path) -> None:
    made, policy = confined(tmp_path, HOME="/home/ann", XDG_CACHE_HOME="/c", TMP="/t", TEMP="/t", LR="1")
    scratch = tmp_path / "run/scratch"
    assert dict(made.environment) == {
        "PATH": "/usr/bin",
        "LR": "1",
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch / "tmp"),
    }
    assert (scratch / "home").is_dir()
    assert (scratch / "tmp").is_dir()
    assert policy["folders"] == [str(scratch)]
    assert set(policy["writable"]) == {str(scratch), str(made.workdir), "/dev", "/proc"}


def test_the_policy_holds_borders_environment_and_spool(tmp_path: Path) -> None:
    made, policy = confined(tmp_path, RELIVE_SPOOL_DIR="/spool", LD_LIBRARY_PATH="/opt/cuda/lib:relative")
    assert "/spool" in policy["folders"]
    assert "/spool" in policy["writable"]
    assert {"/usr", "/etc", "/env", "/opt/cuda/lib"} <= set(policy["readable"])
    assert "relative" not in policy["readable"]
    known = Borders.from_document(policy["borders"])
    assert (known.tree, known.commit, known.declared) == (made.workdir, frozenset({"train.py"}), ("data",))
    assert (
        str(made.workdir) not in policy["readable"]
    )  # it is writable, and so readable; the recorder holds it


@pytest.mark.parametrize(
    ("hub", "addresses"),
    [
        ("", []),
        ("http://127.0.0.1:8000", ["127.0.0.1:8000"]),
        ("http://127.0.0.1", ["127.0.0.1:80"]),
        ("https://10.1.2.3", ["10.1.2.3:443"]),
        ("http://[::1]:9", ["[::1]:9"]),
        ("no address", []),
    ],
)
def test_of_addresses_only_the_hubs_is_allowed(tmp_path: Path, hub: str, addresses: list[str]) -> None:
    assert confined(tmp_path, RELIVE_HUB=hub)[1]["addresses"] == addresses


def test_a_hub_with_a_name_needs_those_who_know_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hermetic, "_name_servers", lambda: ["10.0.0.53", "fe80::1"])
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, **_: [(2, 1, 6, "", ("10.0.0.1", port))])
    found = confined(tmp_path, RELIVE_HUB="https://hub.example")[1]["addresses"]
    assert found == ["10.0.0.1:443", "10.0.0.53:53", "[fe80::1]:53"]


def test_a_hub_that_cannot_be_found_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    monkeypatch.setattr(hermetic, "_name_servers", list)
    assert confined(tmp_path, RELIVE_HUB="https://hub.example")[1]["addresses"] == []


def opened(**changes: object) -> Opened:
    return Opened(**({"begun": 1, "ended": 1} | changes))  # type: ignore[arg-type]


def walls(tmp_path: Path, found: Opened) -> Walls:
    return walls_of(confined(tmp_path)[0], found)


def test_a_run_without_a_policy_has_no_walls(tmp_path: Path) -> None:
    assert walls_of(plan(tmp_path), opened()) == Walls(names="none", hold=False, notes=())


def test_walls_hold_where_all_was_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 6)
    assert walls(tmp_path, opened()) == Walls(names="landlock+seccomp", hold=True)


@pytest.mark.parametrize(
    ("version", "changes", "names", "note"),
    [
        (6, {"begun": 0, "ended": 0, "unavailable": "EPERM"}, "landlock", "EPERM"),
        (0, {"blind": {"a chroot", "a look"}}, "seccomp", "a chroot; a look"),
        (0, {"begun": 0, "ended": 0}, "none", "not every open was seen"),
        (6, {"ended": 0}, "landlock+seccomp", "not every open was seen"),
        (6, {"is_leaky": True}, "landlock+seccomp", "not every open was seen"),
    ],
)
def test_what_did_not_hold_is_said_with_its_reason(
    tmp_path, monkeypatch, version, changes, names, note
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: version)
    found = walls(tmp_path, opened(**changes))
    assert (found.names, found.hold) == (names, False)
    assert found.notes == (f"Not held to its declared inputs: {note}.",)
    assert found.told == f"relive: {found.notes[0]}\n"


def test_what_was_refused_is_told_with_what_allows_it(tmp_path: Path) -> None:
    refused = {
        "10.0.0.1:443",
        "io_uring",
        "the socket /run/docker.sock",
        "/srv/out.csv",
        "/srv/rows.csv",
        "/w\udcff",
    }
    found = walls(tmp_path, opened(refused=refused, reads={"/srv/rows.csv": (1, 1, 1)}))
    allows = "(`network: true` in relive.yaml, or --network, allows it)"
    assert found.notes == (
        f"Refused: 10.0.0.1:443, the socket /run/docker.sock {allows}.",
        "Refused to write: /srv/out.csv, /w\\xff (write into the repository, $HOME or $TMPDIR).",
    )
    assert found.hold


def test_of_many_only_some_are_named(tmp_path: Path) -> None:
    found = walls(tmp_path, opened(refused={f"/srv/{number:02}" for number in range(15)}))
    assert "/srv/09 and 5 more" in found.notes[0]
    assert "/srv/10" not in found.notes[0]


def test_an_offline_replay_is_kept_from_the_network_and_from_no_file(tmp_path: Path) -> None:
    given = plan(tmp_path, RELIVE_HUB="http://127.0.0.1:8000", HOME="/home/ann")
    borders = Borders(given.workdir, frozenset(), (), (), began_at_ns=7)
    made = unplug(given, borders, tmp_path)
    assert made.environment == given.environment
    assert made.policy is not None
    policy = json.loads(made.policy.read_bytes())
    assert (policy["network"], policy["all_files"], policy["addresses"]) == (False, True, ["127.0.0.1:8000"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Walls(names="network")),
        (
            {"refused": {"10.0.0.1:443", "io_uring"}},
            Walls(names="network", notes=("Refused without a network: 10.0.0.1:443.",)),
        ),
        (
            {"begun": 0, "ended": 0, "unavailable": "EPERM"},
            Walls(notes=("Its network was not walled off: EPERM.",)),
        ),
        ({"blind": {"a chroot"}}, Walls(notes=("Its network was not walled off: a chroot.",))),
        ({"ended": 0}, Walls(notes=("Its network was not walled off: not every call was seen.",))),
    ],
)
def test_what_became_of_the_network_is_said(changes: dict[str, object], expected: Walls) -> None:
    assert network_wall_of(opened(**changes)) == expected
