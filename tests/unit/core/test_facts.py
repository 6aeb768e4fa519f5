"""Inputs as facts, and what two lists of them do not share."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.facts import Difference, Fact, FactGroup, Trees, differences, facts_of, with_logged
from relive.core.recipe import (
    Code,
    DataInput,
    Declared,
    Distribution,
    EnvironmentLock,
    Hardware,
    Interpreter,
    LoadedLibrary,
    LockedPackage,
    Observed,
    Recipe,
    UndeclaredRead,
)


def digest(letter: str) -> str:
    return "blake3:" + letter * 64


HARDWARE = Hardware(
    cpu_model="EPYC", cpu_vendor="AMD", cpu_flags_digest=digest("f"), cores=4, cores_allowed=2, memory_bytes=1
)


def recipe(observed: dict[str, Any] | None = None, **declared: Any) -> Recipe:
    known: dict[str, Any] = {"command": "python train.py", "code": Code(manifest=digest("c"))} | declared
    seen = None if observed is None else Observed(**({"hardware": HARDWARE} | observed))
    return Recipe(declared=Declared(**known), observed=seen)


def lock(**versions: str) -> EnvironmentLock:
    packages = tuple(
        LockedPackage(name=name, version=version, filename=f"{name}.whl", sha256=version * 8, size_bytes=1)
        for name, version in versions.items()
    )
    return EnvironmentLock(
        python="3.11.7",
        implementation="cpython",
        platform="linux_x86_64",
        source="uv.lock",
        packages=packages,
    )


def tree(**files: str) -> Manifest:
    return Manifest.of([ManifestEntry(name, digest(letter), 1) for name, letter in files.items()])


def changed(one: Recipe, other: Recipe, *locks: EnvironmentLock | None) -> list[tuple[str, str]]:
    first, second = locks or (None, None)
    found = differences(facts_of(one, first), facts_of(other, second))
    return [(it.group.name, it.name) for it in found]


def test_equal_recipes_do_not_differ() -> None:
    seen = {
        "variables": {"OMP_NUM_THREADS": "2"},
        "threads": ({"library": "libopenblas.so", "kind": "openblas", "threads": 2},),
    }
    assert changed(recipe(seen, params={"lr": 0.1}), recipe(seen, params={"lr": 0.1})) == []


def test_each_input_is_named_in_the_group_it_belongs_to() -> None:
    data = DataInput(path="data", manifest=digest("d"), size_bytes=1)
    before = recipe({}, data=(data,), params={"lr": 0.1, "layers": [1, 2]}, env={"SEED": "1"}, workdir=".")
    after = recipe(
        {
            "hardware": Hardware(**{**_fields(HARDWARE), "cores_allowed": 4, "gpus": ({"name": "H100"},)}),
            "libraries": (LoadedLibrary(path="/x/libm.so.6", soname="libm.so.6", build_id="b"),),
            "threads": ({"library": "libmkl_rt.so", "kind": "mkl", "threads": 4},),
            "reads": (UndeclaredRead(path="/srv/x.csv", size_bytes=3, digest=digest("e")),),
            "interpreter": Interpreter(version="3.12.1", implementation="cpython"),
        },
        data=(DataInput(path="data", manifest=digest("e"), size_bytes=1),),
        params={"lr": 0.2, "layers": [1, 2]},
        env={"SEED": "2", "OMP_NUM_THREADS": "4"},
        workdir="sub",
        code=Code(manifest=digest("9")),
    )
    assert changed(before, after) == [
        ("DATA", "data"),
        ("PARAMS", "lr"),
        ("COMMAND", "folder"),
        ("CODE", "tree"),
        ("INTERPRETER", "cpython"),
        ("THREADS", "OMP_NUM_THREADS"),
        ("THREADS", "libmkl_rt.so"),
        ("HARDWARE", "cores"),
        ("HARDWARE", "gpu 0"),
        ("LIBRARIES", "libm.so.6"),
        ("VARIABLES", "SEED"),
        ("READS", "/srv/x.csv"),
    ]


def test_a_package_explains_another_library_and_is_no_difference_itself() -> None:
    library = LoadedLibrary(path="/x/libm.so.6", soname="libm.so.6", build_id="a", package="libc6 2.36")
    newer = msgspec.structs.replace(library, package="libc6 2.37")
    before = recipe({"libraries": (library,)})
    assert changed(before, recipe({"libraries": (newer,)})) == []
    other = recipe({"libraries": (msgspec.structs.replace(newer, build_id="b"),)})
    (found,) = differences(facts_of(before), facts_of(other))
    assert (found.before, found.after) == ("a (libc6 2.36)", "b (libc6 2.37)")


def test_a_team_of_another_size_and_another_power_mode_are_told() -> None:
    pool = {"library": "libgomp.so.1", "kind": "openmp"}
    quiet = Hardware(**{**_fields(HARDWARE), "power": {"governor": "powersave"}})
    fast = Hardware(**{**_fields(HARDWARE), "power": {"governor": "performance"}})
    before = recipe({"threads": ({**pool, "threads": 2},), "hardware": quiet})
    after = recipe({"threads": ({**pool, "threads": 4},), "hardware": fast})
    assert changed(before, after) == [("THREADS", "libgomp.so.1"), ("HARDWARE", "governor")]


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_a_package_that_was_imported_comes_before_one_that_was_not() -> None:
    seen = {
        "distributions": (
            Distribution(name="numpy", version="2", imported=True),
            Distribution(name="zlib", version="1"),
        )
    }
    before, after = lock(numpy="2", zlib="1", gone="1"), lock(numpy="3", zlib="2", new="1")
    found = changed(recipe(seen), recipe(seen), before, after)
    packages = [("PACKAGES", name) for name in ("gone", "new", "zlib")]
    assert found == [("IMPORTED", "numpy"), *packages]


def test_a_package_that_only_one_run_imported_is_one_package() -> None:
    one = {"distributions": (Distribution(name="numpy", version="2", imported=True),)}
    other = {"distributions": (Distribution(name="numpy", version="2"),)}
    assert changed(recipe(one), recipe(other)) == []
    newer = {"distributions": (Distribution(name="numpy", version="3"),)}
    (found,) = differences(facts_of(recipe(one)), facts_of(recipe(newer)))
    assert found == Difference(group=FactGroup.IMPORTED, name="numpy", before="2 record:", after="3 record:")


def test_with_a_lock_what_was_found_installed_says_nothing_more() -> None:
    seen = {"distributions": (Distribution(name="numpy", version="2", record_sha256="ab", imported=True),)}
    facts = facts_of(recipe(seen), lock(numpy="2"))
    assert [it.value for it in facts if it.name == "numpy"] == ["2 sha256:22222222"]


def test_files_are_compared_one_by_one_where_they_are_known() -> None:
    data = DataInput(path="data", manifest=digest("d"), size_bytes=1)
    one = facts_of(
        recipe(data=(data,)), None, Trees(code=tree(a="1", b="2"), data={"data": tree(x="1", y="2")})
    )
    other = facts_of(
        recipe(data=(data,)), None, Trees(code=tree(a="1", c="2"), data={"data": tree(x="1", y="3")})
    )
    assert [(it.group.name, it.name, it.before, it.after) for it in differences(one, other)] == [
        ("DATA", "y", digest("2"), digest("3")),
        ("CODE", "b", digest("2"), None),
        ("CODE", "c", None, digest("2")),
    ]


def test_a_read_of_a_file_in_the_commit_says_nothing_that_the_code_does_not_say() -> None:
    read = UndeclaredRead(path="helper.py", size_bytes=1, digest=digest("a"), belongs="commit")
    assert changed(recipe({"reads": (read,)}), recipe({})) == []


def test_a_program_and_a_link_are_other_things_than_a_file() -> None:
    plain = Manifest.of([ManifestEntry("a", digest("1"), 1)])
    program = Manifest.of([ManifestEntry("a", digest("1"), 1, executable=True)])
    link = Manifest.of([ManifestEntry("a", link="b"), ManifestEntry("b", digest("1"), 1)])
    sides = [facts_of(recipe(), None, Trees(code=code)) for code in (plain, program, link)]
    assert [it.name for it in differences(sides[0], sides[1])] == ["a"]
    assert [it.name for it in differences(sides[0], sides[2])] == ["a", "b"]


def test_numbers_are_told_apart_exactly() -> None:
    for one, other in ((0.1, 0.1 + 2**-55), (1, 1.0), (True, 1), ("1", 1), (None, "null")):
        same = changed(recipe(params={"p": one}), recipe(params={"p": other}))
        assert same == ([] if repr(one) == repr(other) else [("PARAMS", "p")]), (one, other)


_FACTS = st.lists(
    st.builds(
        Fact,
        group=st.sampled_from(list(FactGroup)),
        name=st.sampled_from(["a", "b", "c"]),
        value=st.sampled_from(["1", "2"]),
    ),
    unique_by=lambda it: ("package" if it.group in (4, 10) else it.group, it.name),
)


@given(_FACTS, _FACTS)
def test_what_differs_one_way_differs_the_other(one: list[Fact], other: list[Fact]) -> None:
    there, back = differences(one, other), differences(other, one)
    assert [(it.group, it.name, it.after, it.before) for it in back] == [
        (it.group, it.name, it.before, it.after) for it in there
    ]
    assert differences(one, one) == []
    assert [it.group for it in there] == sorted(it.group for it in there)


def test_a_file_that_is_code_and_data_is_told_once_as_data():
    declared = recipe(data=(DataInput(path="data", manifest=digest("d"), size_bytes=1, origin="file"),))
    trees = Trees(code=tree(rows="a", train="b"), data={"data": tree(rows="a")})
    found = [(fact.group, fact.name) for fact in facts_of(declared, None, trees)]
    assert (FactGroup.DATA, "rows") in found
    assert (FactGroup.CODE, "train") in found
    assert (FactGroup.CODE, "rows") not in found
    # Without its files, the data is one digest, and the file stays what is known of it.
    bare = [(fact.group, fact.name) for fact in facts_of(declared, None, Trees(code=trees.code))]
    assert {(FactGroup.DATA, "data"), (FactGroup.CODE, "rows")} <= set(bare)


def test_logged_params_count_as_inputs_and_declared_ones_win():
    before = with_logged(recipe(params={"lr": 0.1}), {"lr": 9, "seed": 1})
    after = with_logged(recipe(params={"lr": 0.1}), {"lr": 8, "seed": 2})
    assert changed(before, after) == [("PARAMS", "seed")]
    assert before.declared.params == {"lr": 0.1, "seed": 1}
