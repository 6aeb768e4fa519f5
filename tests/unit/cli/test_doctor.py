"""`relive doctor`: it says what this machine really has, and what is not done without it."""

import pytest

from relive.capture.recorder import landlock, seccomp
from relive.cli import doctor
from relive.runner import hermetic
from tests.unit.cli.conftest import Shell


def test_it_says_what_holds_a_hermetic_run_here(relive: Shell) -> None:
    said = relive("doctor", "--json").json
    found = {check["check"]: check for check in said}
    walls = found["walls"]["detail"]
    assert found["walls"]["ok"]
    assert ("no Landlock" in walls) == (landlock.version() == 0)
    assert ("no seccomp user notification" in walls) == bool(hermetic.no_recorder())


@pytest.mark.parametrize(
    ("version", "why", "expected"),
    [
        (6, "", "Landlock 6, seccomp user notification: every open is recorded, hermetic stages are held"),
        (0, "", "no border for others"),
        (
            3,
            "Operation not permitted",
            "(Operation not permitted): only Python's opens are recorded, Landlock alone",
        ),
        (0, "Function not implemented", "hermetic stages are not held"),
    ],
)
def test_what_a_kernel_lacks_is_said(
    monkeypatch: pytest.MonkeyPatch, version: int, why: str, expected: str
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: version)
    monkeypatch.setattr(doctor, "no_recorder", lambda: why)
    assert expected in doctor._walls()


def test_the_filter_is_tried_elsewhere_and_its_refusal_told(monkeypatch: pytest.MonkeyPatch) -> None:
    first = hermetic.no_recorder()
    assert hermetic.no_recorder() == first, "the first try would make the second one busy"

    def refuse(*_: object, **__: object) -> int:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(seccomp, "install", refuse)
    assert seccomp.main([]) == "Operation not permitted"
    monkeypatch.setattr(seccomp, "calls", lambda: None)
    assert "not known" in str(seccomp.main([]))
