"""What is not here as it was recorded: found before the start, refused only where nothing can be done."""

from typing import Any

import msgspec
import pytest

from relive.core.recipe import Code, Declared, EnvironmentLock, Hardware, Interpreter, Observed, Recipe
from relive.replay.machine import look_at_machine
from relive.replay.substitutes import Substitutes
from relive.runner.environment.interpreters import own_version

OWN = own_version()
HERE = Hardware(
    cpu_model="EPYC", cpu_vendor="AMD", cpu_flags_digest="f1", cores=2, cores_allowed=2, memory_bytes=1
)
GPU = ({"name": "H100", "driver": "570"},)


def recipe(python: str = OWN, **hardware: Any) -> Recipe:
    machine = msgspec.structs.replace(HERE, **hardware)
    observed = Observed(hardware=machine, interpreter=Interpreter(version=python, implementation="cpython"))
    return Recipe(declared=Declared(command="true", code=Code(manifest="m")), observed=observed)


def lock(python: str) -> EnvironmentLock:
    return EnvironmentLock(
        python=python, implementation="cpython", platform="linux_x86_64", source="r.txt", packages=()
    )


def test_the_same_machine_has_nothing_to_say() -> None:
    nothing = Substitutes()
    assert look_at_machine(recipe(), None, nothing, HERE) == []
    assert look_at_machine(recipe(), lock(OWN), nothing, HERE) == []
    assert look_at_machine(recipe(gpus=GPU), None, nothing, msgspec.structs.replace(HERE, gpus=GPU)) == []


def test_another_processor_is_said_and_can_be_accepted() -> None:
    (found,) = look_at_machine(recipe(cpu_model="Xeon", cpu_flags_digest="f2"), None, Substitutes(), HERE)
    assert (found.sentence, found.is_fatal) == (
        "it ran with processor Xeon, and this machine has EPYC",
        False,
    )
    accepted = Substitutes.parse(["cpu"])
    assert look_at_machine(recipe(cpu_flags_digest="f2"), None, accepted, HERE) == []


def test_another_gpu_is_said_and_none_at_all_is_refused() -> None:
    (found,) = look_at_machine(recipe(gpus=GPU, driver="570"), None, Substitutes(), HERE)
    assert (found.recorded, found.here, found.is_fatal) == ("H100 (driver 570)", "", True)
    other = msgspec.structs.replace(HERE, gpus=({"name": "H200"},))
    (found,) = look_at_machine(recipe(gpus=GPU), None, Substitutes(), other)
    assert (found.here, found.is_fatal) == ("H200", False)
    assert look_at_machine(recipe(gpus=GPU), None, Substitutes.parse(["gpu"]), HERE) == []
    # A GPU that only this machine has was no input of the run.
    assert look_at_machine(recipe(), None, Substitutes(), other) == []


@pytest.mark.parametrize("wanted", ["3.11.99", "2.7.18"])
def test_a_python_that_is_not_here_is_refused_with_one_that_is(wanted: str) -> None:
    (found,) = look_at_machine(recipe(), lock(wanted), Substitutes(), HERE)
    assert found.is_fatal
    assert found.recorded == wanted
    assert found.accept == f"python=={found.here}"
    assert look_at_machine(recipe(), lock(wanted), Substitutes.parse([found.accept]), HERE) == []


def test_without_an_environment_relives_own_python_has_to_be_the_one() -> None:
    (found,) = look_at_machine(recipe(python="3.9.1"), None, Substitutes(), HERE)
    assert (found.here, found.is_fatal) == (OWN, True)
    assert look_at_machine(recipe(python="3.9.1"), None, Substitutes.parse([f"python=={OWN}"]), HERE) == []
    assert look_at_machine(recipe(python="3.9.1"), None, Substitutes.parse(["python==3.10.1"]), HERE)


def test_of_a_run_that_nothing_observed_nothing_is_known() -> None:
    bare = msgspec.structs.replace(recipe(), observed=None)
    assert look_at_machine(bare, None, Substitutes(), HERE) == []
