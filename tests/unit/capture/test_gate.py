"""What a hermetic run's gate lets through, and what it refuses."""

import errno
import json
import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from relive.capture.recorder import gate as gates
from relive.capture.recorder.borders import Borders
from relive.capture.recorder.gate import Gate, Refused
from relive.capture.recorder.reads import file_time_ns
from tests.conftest import require


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path in ("tree/data", "own"):
        (tmp_path / path).mkdir(parents=True)
    for path in ("train.py", "helper.py", "data/a.csv", "ignored.csv"):
        (tmp_path / "tree" / path).write_text("1")
    return tmp_path / "tree"


def gate(tree: Path, *addresses: str, network: bool = False) -> Gate:
    """Read a policy, as the recorder does; what is there now was there before the start."""
    borders = Borders(
        tree=tree,
        commit=frozenset({"train.py", "helper.py"}),
        declared=("train.py", "data"),
        environment=("/env",),
        began_at_ns=2**62,
    )
    policy = {
        "borders": borders.as_document(),
        "folders": [str(tree.parent / "own")],
        "network": network,
        "addresses": addresses,
    }
    return Gate.parse(json.dumps(policy).encode())


def began_now(tree: Path) -> Gate:
    """Give a gate for a run that begins after the files of the tree were made."""
    require(gates._born_ns(str(tree)) is not None, "the file system does not say when a file came into being")
    held = gate(tree)
    held._borders = replace(held._borders, began_at_ns=file_time_ns(tree))
    time.sleep(0.02)  # a file system's clock stands still for some milliseconds
    return held


def is_let(gate: Gate, path: Path) -> bool:
    try:
        gate.check_file(str(path), os.stat(path))
    except Refused as refused:
        return (refused.name, refused.number) != (str(path), errno.EACCES)
    return True


def test_a_declared_file_is_let_and_any_other_of_the_tree_refused(tree: Path) -> None:
    found = {
        path: is_let(gate(tree), tree / path)
        for path in ("train.py", "data/a.csv", "helper.py", "ignored.csv")
    }
    assert found == {"train.py": True, "data/a.csv": True, "helper.py": False, "ignored.csv": False}


def test_what_the_run_makes_is_its_own_and_stays_so(tree: Path) -> None:
    held = gate(tree)
    made = tree / "ignored.csv"
    assert not is_let(held, made)
    known = os.stat(made)
    held.emptied.add((known.st_dev, known.st_ino))
    assert is_let(held, made)
    held.emptied.clear()
    assert is_let(held, made)


def test_in_the_runs_own_folders_and_once_made_all_is_its_own_where_no_birth_is_known(tree, monkeypatch):
    monkeypatch.setattr(gates, "_born_ns", lambda _: None)
    held = gate(tree)
    held.made.add(str(tree / "ignored.csv"))
    assert is_let(held, tree / "ignored.csv")
    (tree.parent / "own/x").write_text("1")
    assert is_let(held, tree.parent / "own/x")
    (tree.parent / "own/link").symlink_to(tree / "helper.py")
    assert not is_let(held, tree.parent / "own/link")


def test_another_mode_makes_a_file_of_the_commit_no_other(tree: Path, monkeypatch) -> None:
    monkeypatch.setattr(gates, "_born_ns", lambda _: None)
    known = gate(tree)
    known._borders = Borders(
        **{**vars(known._borders), "began_at_ns": os.stat(tree / "helper.py").st_mtime_ns}
    )
    (tree / "helper.py").chmod(0o755)
    assert not is_let(known, tree / "helper.py")
    (tree / "helper.py").write_text("its own now")
    assert is_let(known, tree / "helper.py")


@pytest.mark.parametrize("change", ["rename", "link", "chmod", "touch", "append", "move into a folder"])
def test_a_file_that_was_there_stays_what_it_was(tree: Path, change: str) -> None:
    held = began_now(tree)
    source, target = tree / "ignored.csv", tree / "x"
    if change == "rename":
        source.rename(target)
    elif change == "link":
        os.link(source, target)
    elif change == "move into a folder":
        target = source.rename(tree.parent / "own/x")
    else:
        target = source
        if change == "chmod":
            source.chmod(0o600)
        elif change == "touch":
            source.touch()
        else:
            with open(source, "ab") as file:
                file.write(b"2")
    assert not is_let(held, target)


def test_a_file_that_is_made_or_begun_anew_is_the_runs_own_under_any_name(tree: Path) -> None:
    held = began_now(tree)
    (tree / "new").write_text("1")
    os.utime(tree / "new", ns=(0, 0))  # as `cp -p` leaves it
    assert is_let(held, (tree / "new").rename(tree / "renamed"))
    emptied = os.stat(tree / "ignored.csv")
    held.emptied.add((emptied.st_dev, emptied.st_ino))
    assert is_let(held, (tree / "ignored.csv").rename(tree / "x"))
    assert not is_let(held, tree / "helper.py")


def test_where_nobody_knows_when_a_file_was_born_its_last_change_decides(tree, monkeypatch) -> None:
    held = began_now(tree)
    monkeypatch.setattr(gates, "_born_ns", lambda _: None)
    assert not is_let(held, tree / "ignored.csv")
    (tree / "ignored.csv").rename(tree / "x")
    assert is_let(held, tree / "x")


def test_no_file_has_no_time_of_birth(tree: Path) -> None:
    assert gates._born_ns(str(tree / "none")) is None


def test_to_write_is_let_in_the_tree_the_runs_folders_and_devices(tree: Path) -> None:
    held = gate(tree)
    (tree / "out").symlink_to(tree.parent)
    for path in (tree / "new", tree.parent / "own/x", "/dev/null", "/proc/self/comm", "/usr/lib/x", "/env/x"):
        held.check_write(str(path))  # Landlock alone refuses the last two: programs try that, and go on
    for path in (tree.parent / "x", tree / "out/x", "/srv/x"):
        with pytest.raises(Refused) as caught:
            held.check_write(str(path))
        assert caught.value.number == errno.EACCES


def test_an_address_is_let_that_is_the_hubs_or_the_trees_own(tree: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        held = gate(tree, "10.0.0.1:443")
        held.check_address("10.0.0.1", 443)
        held.check_address("127.0.0.1", _unused(port))
        held.check_address("[::1]", _unused(port))
        for host, number in (("127.0.0.1", port), ("10.0.0.1", 80), ("[2001:db8::1]", 443)):
            with pytest.raises(Refused) as caught:
                held.check_address(host, number)
            assert caught.value.number == errno.ENETUNREACH
        gate(tree, network=True).check_address("10.0.0.1", 80)


@pytest.mark.parametrize(
    ("addresses", "family", "kind", "let"),
    [
        ((), socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, True),
        ((), socket.AF_UNIX, socket.SOCK_DGRAM, True),
        ((), socket.AF_INET, socket.SOCK_DGRAM, False),
        ((), socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, False),
        ((), socket.AF_INET, socket.SOCK_RAW, False),
        (("10.0.0.1:53",), socket.AF_INET, socket.SOCK_DGRAM, True),
        (("10.0.0.1:53",), socket.AF_INET, socket.SOCK_RAW, False),
    ],
)
def test_sockets_that_ask_nobody_are_refused_but_to_find_the_hub(tree, addresses, family, kind, let) -> None:
    held = gate(tree, *addresses)
    if let:
        held.check_socket(family, kind)
    else:
        with pytest.raises(Refused):
            held.check_socket(family, kind)


def test_a_local_socket_is_let_in_the_runs_own_folders(tree: Path) -> None:
    held = gate(tree)
    for path in (tree / "s", tree.parent / "own/s", tree.parent / "foreign"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    held.check_local(os.fsencode(tree / "s") + b"\0")
    held.check_local(os.fsencode(tree.parent / "own/s"))
    held.check_local(b"\0abstract")
    held.check_local(b"/no/such")
    with pytest.raises(Refused):
        held.check_local(os.fsencode(tree.parent / "foreign"))


def _unused(other: int) -> int:
    return other - 1 if other > 2000 else other + 1


def test_one_that_keeps_from_the_network_alone_lets_every_file_and_socket_of_the_machine_be(
    tree: Path,
) -> None:
    policy = {
        "borders": gate(tree)._borders.as_document(),
        "folders": [],
        "network": False,
        "addresses": ["127.0.0.1:80"],
        "all_files": True,
    }
    shut = Gate.parse(json.dumps(policy).encode())
    assert not is_let(gate(tree), tree / "ignored.csv")
    assert is_let(shut, tree / "ignored.csv")
    shut.check_write("/srv/out.csv")
    shut.check_local(os.fsencode(tree / "train.py"))
    shut.check_address("127.0.0.1", 80)
    with pytest.raises(Refused):
        shut.check_address("10.0.0.1", 443)
    with pytest.raises(Refused):
        shut.check_socket(socket.AF_INET, socket.SOCK_DGRAM)
