"""The profiles: what is pinned is said in words that the libraries know."""

import re

from relive.core.determinism import Determinism, switches
from relive.core.facts import Fact, FactGroup, facts_of
from relive.core.recipe import Code, Declared, Recipe


def test_a_machine_gets_nothing_beyond_what_every_run_gets() -> None:
    assert switches(Determinism.MACHINE) == {}


def test_a_portable_run_has_one_thread_and_one_path_of_instructions() -> None:
    found = switches(Determinism.PORTABLE)
    assert {value for name, value in found.items() if name.endswith("_NUM_THREADS")} == {"1"}
    pinned = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA")
    assert all(re.match("avx2", found[name], re.IGNORECASE) for name in pinned)


def test_nobody_can_change_a_profile_for_others() -> None:
    switches(Determinism.PORTABLE)["MKL_CBWR"] = "COMPATIBLE"
    assert switches(Determinism.PORTABLE)["MKL_CBWR"] == "AVX2,STRICT"


def test_every_switch_is_an_input_that_a_comparison_names() -> None:
    env = switches(Determinism.PORTABLE)
    recipe = Recipe(declared=Declared(command="x", code=Code(manifest="m"), env=env))
    found = facts_of(recipe)
    assert Fact(group=FactGroup.THREADS, name="MKL_CBWR", value="AVX2,STRICT") in found
    assert {it.name for it in found} >= env.keys()
