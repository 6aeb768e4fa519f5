"""What is missing for a replay is told at once and by name, with what would do instead."""

from types import SimpleNamespace
from typing import Any

import pytest

from relive.core.recipe import EnvironmentLock, LockedPackage
from relive.errors import CannotReplay
from relive.replay.machine import Obstacle
from relive.replay.needs import Gap, gaps_of_index, gaps_of_machine, refuse_gaps
from relive.replay.substitutes import Substitutes
from relive.replay.unlocked import Seen

DETAIL: Any = SimpleNamespace(run=SimpleNamespace(id="7f3a" * 8))
PACKAGES = tuple(
    LockedPackage(name=name, version="1.0", filename=f"{name}.whl", sha256="00", size_bytes=1, origin="index")
    for name in ("one", "two")
)
LOCK = EnvironmentLock(
    python="3.11.7", implementation="cpython", platform="linux", source="uv.lock", packages=PACKAGES
)
NOTHING = Substitutes()


def refused(*gaps: Gap, offline: bool) -> CannotReplay:
    with pytest.raises(CannotReplay) as told:
        refuse_gaps(DETAIL, gaps, offline=offline)
    return told.value


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_gap_nothing_is_refused(offline: bool) -> None:
    refuse_gaps(DETAIL, [], offline=offline)


def test_all_that_is_missing_is_named_together() -> None:
    gpu = Gap(missing="no GPU", accept="gpu")
    wheel = Gap(missing="no wheel", accept="one==1.0 two==1.0", asks_index=True)
    both = refused(gpu, wheel, offline=False)
    assert "no GPU; no wheel" in both.what()
    accept = "--substitute gpu --substitute one==1.0 --substitute two==1.0"
    assert both.hint is not None
    assert both.hint.startswith(f"relive replay 7f3a7f3a {accept}    (from a package index")
    offline = refused(gpu, wheel, offline=True).hint
    assert offline is not None
    assert offline.startswith(f"relive replay 7f3a7f3a {accept}    (once without --offline")
    assert refused(gpu, offline=True).hint == "relive replay 7f3a7f3a --substitute gpu --offline"
    assert refused(gpu, offline=False).hint == "relive replay 7f3a7f3a --substitute gpu"


def test_the_advice_keeps_what_was_accepted_already() -> None:
    accepted = Substitutes.parse(["gpu", "one==2.0"])
    wheel = next(gaps_of_index(None, LOCK, accepted, ""))
    with pytest.raises(CannotReplay) as told:
        refuse_gaps(
            DETAIL, [wheel, Gap(missing="no GPU", accept="gpu")], offline=True, accepted=accepted.texts
        )
    assert told.value.hint is not None
    advised = "relive replay 7f3a7f3a --substitute one==2.0 --substitute gpu    (once without --offline"
    assert told.value.hint.startswith(advised)


def test_where_nothing_brings_it_back_nothing_is_advised() -> None:
    lost = Gap(missing="the hub no longer has its code: train.py")
    assert refused(lost, Gap(missing="no GPU", accept="gpu"), offline=True).hint is None


def test_only_what_is_fatal_stops_a_replay() -> None:
    cpu = Obstacle(what="processor", recorded="x", here="y", accept="cpu")
    gpu = Obstacle(what="GPU", recorded="A100", here="", accept="gpu", is_fatal=True)
    assert [it.accept for it in gaps_of_machine([cpu, gpu])] == ["gpu"]


def test_offline_only_kept_wheels_will_do() -> None:
    seen = Seen(python="3.11.7", pins={f"thing-{number:02}": "1" for number in range(25)})
    (gap,) = gaps_of_index(seen, None, NOTHING, "")
    assert "thing-00==1, " in gap.missing
    assert gap.missing.endswith("thing-19==1 and 5 more")
    assert list(gaps_of_index(seen, None, NOTHING, "blake3:00")) == []
    assert list(gaps_of_index(Seen(python="3.11.7", pins={}), None, NOTHING, "")) == []


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([], None),
        (["cpu"], None),
        (["python==3.11.9"], None),
        (["one==2.0"], "no replay has kept the wheels of one==2.0"),
        (
            ["python==3.12.1"],
            "no replay has kept the wheels of one==1.0 for Python 3.12.1, two==1.0 for Python 3.12.1",
        ),
    ],
)
def test_a_substitute_of_packages_or_of_another_minor_python_asks_an_index(
    texts: list[str], told: str | None
) -> None:
    accepted = Substitutes.parse(texts)
    assert accepted.asks_index(LOCK) is (told is not None)
    assert [it.missing for it in gaps_of_index(None, LOCK, accepted, "")] == ([told] if told else [])


def test_an_environment_is_the_same_whatever_the_machine() -> None:
    accepted = Substitutes.parse(["One==2.0", "cpu"])
    assert accepted.is_same_environment(["gpu", "one==2.0"])
    assert not accepted.is_same_environment(["one==2.1"])
    assert not accepted.is_same_environment([])
