"""What two runs do not share, as single exchanges: each alone, and together they make the second run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from relive.client.hub import HubClient
from relive.client.transport import Transport
from relive.core.artifact import Manifest, ManifestEntry
from relive.core.facts import FactGroup
from relive.core.recipe import Code, DataInput, Declared, Hardware, Observed, Recipe
from relive.core.run import Run, RunKind, RunStatus
from relive.formats.hashing import blake3_digest
from relive.replay.diff import Side
from relive.replay.draft import Draft, words_of
from relive.replay.swaps import Swap, cleared, find_swaps
from relive.wire.hub import RunDetail
from relive.wire.jobs import StageWork
from tests.support.fake_hub import FakeHub, running_hub

MACHINE = Hardware(
    cpu_model="x", cpu_vendor="y", cpu_flags_digest="z", cores=1, cores_allowed=1, memory_bytes=1
)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    with running_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def hub(fake: FakeHub) -> HubClient:
    return HubClient(Transport(fake.url))


class Maker:
    """Makes runs out of files and words."""

    def __init__(self, hub: HubClient) -> None:
        self.hub = hub

    def tree(self, files: dict[str, str]) -> Manifest:
        entries = []
        for path, text in files.items():
            digest = self.hub.blobs.put_bytes(text.encode())
            entries.append(ManifestEntry(path=path, digest=digest, size_bytes=len(text)))
        return Manifest.of(entries)

    def draft(self, other: "tuple[Any, ...] | None" = None, **said: Any) -> tuple[Side, dict[str, Manifest]]:
        code = self.tree(said.pop("code", {}))
        data = {path: self.tree(files) for path, files in said.pop("data", {}).items()}
        deps = tuple(
            DataInput(path=path, manifest=self.hub.blobs.put_manifest(it), size_bytes=1, origin="file")
            for path, it in data.items()
        )
        seen = said.pop("seen", {})
        declared = Declared(
            command=said.pop("command", "python train.py"),
            code=Code(manifest=self.hub.blobs.put_manifest(code)),
            data=deps,
            **said,
        )
        recipe = Recipe(declared=declared, observed=Observed(hardware=MACHINE, variables=seen))
        run = Run(
            id="a" * 32,
            project_id="p",
            experiment_id="e",
            name="r",
            kind=RunKind.MANUAL,
            status=RunStatus.FINISHED,
        )
        detail = RunDetail(run=run, project="demo", url="", experiment="demo")
        return Side(detail=detail, recipe=recipe, lock=None, code=code), data

    def pair(self, before: dict[str, Any], after: dict[str, Any]) -> tuple[Draft, Draft]:
        (one, data), (other, others) = self.draft(**before), self.draft(**after)
        return Draft.of(one, data), Draft.of(other, others)


@pytest.fixture
def maker(hub: HubClient) -> Maker:
    return Maker(hub)


def swaps(maker: Maker, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Swap]:
    found = find_swaps(*maker.pair(before, after), maker.hub.blobs)
    return {it.name: it for it in found}


def put(maker: Maker, before: dict[str, Any], after: dict[str, Any], *names: str) -> StageWork:
    """Put some of the second run's inputs into the first; "*" is all of them."""
    one, other = maker.pair(before, after)
    for swap in find_swaps(one, other, maker.hub.blobs):
        if swap.name in names or names == ("*",):
            swap.put(one)
    return one.work(maker.hub.blobs, (), ())


def test_files_of_code_and_data_are_exchanged_one_by_one(maker: Maker) -> None:
    before = {
        "code": {"a.py": "1", "b.py": "1", "gone.py": "1"},
        "data": {"d": {"d/x.csv": "1", "d/y.csv": "1"}},
    }
    after = {
        "code": {"a.py": "2", "b.py": "1", "new.py": "1"},
        "data": {"d": {"d/x.csv": "2", "d/y.csv": "2"}},
    }
    found = swaps(maker, before, after)
    assert list(found) == ["d/x.csv", "d/y.csv", "a.py:1", "gone.py", "new.py"]
    assert [it.group for it in found.values()] == [FactGroup.DATA] * 2 + [FactGroup.CODE] * 3
    work = put(maker, before, after, "d/y.csv", "gone.py", "new.py")
    blobs = maker.hub.blobs
    assert blobs.fetch_manifest(work.code) == maker.tree({"a.py": "1", "b.py": "1", "new.py": "1"})
    assert blobs.fetch_manifest(work.deps[0].manifest) == maker.tree({"d/x.csv": "1", "d/y.csv": "2"})


CODE = {
    "a.py": "import json\n\nlr = 1\n\nprint(lr)\n\nn = 1\n",
    "run.sh": "a\nb\nc\n",
    "n.ipynb": "{\n1\n}\n",
}
CHANGED = {
    "a.py": "import json, math\n\nlr = 2\n\nprint(math.sin(lr))\n\nn = 1  # rows\n",
    "run.sh": "a\nb2\nc\n",
    "n.ipynb": "{\n2\n}\n",
}


def test_a_file_of_code_is_exchanged_by_its_changes(maker: Maker) -> None:
    found = swaps(maker, {"code": CODE}, {"code": CHANGED})
    # What needs the import stands with it; a notebook has no lines that mean something alone.
    assert list(found) == ["n.ipynb", "run.sh:2", "a.py:1,5", "a.py:3", "a.py:7"]
    assert (found["a.py:3"].before, found["a.py:3"].after) == ("lr = 1", "lr = 2")
    assert {name: it.cleared for name, it in found.items() if it.cleared} == {"a.py:7": "same syntax tree"}
    work = put(maker, {"code": CODE}, {"code": CHANGED}, "a.py:3", "run.sh:2")
    files = {it.path: it.digest for it in maker.hub.blobs.fetch_manifest(work.code).entries}
    assert files["a.py"] == blake3_digest(CODE["a.py"].replace("lr = 1", "lr = 2").encode())
    assert files["run.sh"] == blake3_digest(CHANGED["run.sh"].encode())
    assert files["n.ipynb"] == blake3_digest(CODE["n.ipynb"].encode())
    assert put(maker, {"code": CODE}, {"code": CHANGED}, "*").code == maker.hub.blobs.put_manifest(
        maker.tree(CHANGED)
    )


def test_the_changes_of_a_file_share_its_weight(maker: Maker) -> None:
    found = swaps(maker, {"code": CODE}, {"code": CHANGED})
    assert found["run.sh:2"].suspect.weight == found["n.ipynb"].suspect.weight
    assert found["a.py:3"].suspect.weight == found["run.sh:2"].suspect.weight / 3


def test_a_file_that_became_a_program_or_lies_in_an_input_is_exchanged_whole(maker: Maker) -> None:
    one, other = maker.pair({"code": {"a.py": "1"}}, {"code": {"a.py": "2"}})
    other.code["a.py"] = ManifestEntry(path="a.py", digest=other.code["a.py"].digest, executable=True)
    assert [it.name for it in find_swaps(one, other, maker.hub.blobs)] == ["a.py"]
    data = [{"data": {"d": {"d/a.py": text}}, "code": {"d/a.py": text}} for text in ("1", "2")]
    assert list(swaps(maker, *data)) == ["d/a.py"]


def test_all_exchanges_together_are_the_second_run(maker: Maker) -> None:
    before = {
        "code": {"a.py": "1", "p.json": '{"lr": 1, "n": 1}', "q.yaml": "k: 1\n"},
        "data": {"d": {"d/x.csv": "1"}, "old": {"old/x": "1"}},
        "command": "python a.py --lr 0.1 -v --name 'a b'",
        "env": {"OMP_NUM_THREADS": "1", "A": "1", "MKL_NUM_THREADS": "1"},
        "params": {"lr": 1},
    }
    after = {
        "code": {"a.py": "2", "p.json": '{"lr": 2, "n": 1}', "q.yaml": "k: 2\n"},
        "data": {"d": {"d/x.csv": "2"}, "new": {"new/x": "1"}},
        "command": "python a.py --lr 0.2 --name 'a c' --more",
        "env": {"OMP_NUM_THREADS": "2", "B": "1", "MKL_NUM_THREADS": "2"},
        "params": {"lr": 2},
        "workdir": "sub",
    }
    work = put(maker, before, after, "*")
    blobs = maker.hub.blobs
    assert " ".join(work.commands[0].split()) == after["command"]
    assert (work.env, work.params, work.workdir) == (after["env"], after["params"], "sub")
    assert {it.path for it in work.deps} == {"d", "new"}
    files = {it.path: it.digest for it in blobs.fetch_manifest(work.code).entries}
    assert files["a.py"] == blake3_digest(b"2")
    assert blobs.get_bytes(files["q.yaml"]) == b"k: 2\n"
    assert b'"lr": 2' in blobs.get_bytes(files["p.json"])


def test_nothing_exchanged_is_the_first_run(maker: Maker) -> None:
    before = {"code": {"a.py": "1"}, "data": {"d": {"d/x": "1"}}, "env": {"A": "1"}}
    after = {"code": {"a.py": "2"}, "data": {"d": {"d/x": "2"}}, "env": {"A": "2"}}
    one, _ = maker.pair(before, after)
    work = put(maker, before, after)
    declared = one.side.recipe.declared
    assert (work.code, work.deps, work.env) == (declared.code.manifest, declared.data, declared.env)


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("a --lr 0.1", "a --lr 0.2", ["--lr"]),
        ("a lr=0.1 n=1", "a lr=0.2 n=2", ["lr", "n"]),
        ("a --lr=0.1", "a --lr=0.2", ["--lr"]),
        ("a", "a --fast", ["command, part 1"]),
        ("a --x 'b c'", "a --x 'b d'", ["--x"]),
        ("a b c d", "a", ["command, part 1"]),
        ("a", "a", []),
    ],
)
def test_words_of_the_command_are_named(maker: Maker, old: str, new: str, names: list[str]) -> None:
    found = swaps(maker, {"command": old}, {"command": new})
    assert list(found) == names
    assert put(maker, {"command": old}, {"command": new}, "*").commands == (new,)


def test_words_are_exchanged_one_by_one(maker: Maker) -> None:
    before, after = {"command": "a x=1 y=1 --z 1"}, {"command": "a x=2 y=2 --z 2 end"}
    assert put(maker, before, after, "y").commands == ("a x=1 y=2 --z 1",)
    assert put(maker, before, after, "--z").commands == ("a x=1 y=1 --z 2 end",)
    assert put(maker, before, after, "x", "--z").commands == ("a x=2 y=1 --z 2 end",)


def test_a_command_taken_apart_is_the_same_when_joined() -> None:
    for text in ("a  b\n", "a 'b c' \"d e\"", "it's", "a && b | c > 'x y'", ""):
        assert "".join(words_of(text)) == text


def test_thread_counts_that_change_alike_are_one(maker: Maker) -> None:
    before = {"env": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MODE": "1"}}
    after = {"env": {"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4", "MODE": "4"}}
    found = swaps(maker, before, after)
    assert list(found) == ["MKL_NUM_THREADS and 1 more", "MODE"]
    assert put(maker, before, after, "MKL_NUM_THREADS and 1 more").env == {**after["env"], "MODE": "1"}


def test_variables_that_were_only_seen_are_exchanged_but_no_masked_ones(maker: Maker) -> None:
    before = {"seen": {"CUBLAS_WORKSPACE_CONFIG": ":16:8", "TF_KEY": "***", "SAME": "1"}}
    after = {"seen": {"TF_KEY": "***", "SAME": "1"}}
    (swap,) = swaps(maker, before, after).values()
    assert (swap.name, swap.before, swap.after) == ("CUBLAS_WORKSPACE_CONFIG", ":16:8", "")
    assert put(maker, before, after).env == {"CUBLAS_WORKSPACE_CONFIG": ":16:8", "SAME": "1"}
    assert put(maker, before, after, "*").env == {"SAME": "1"}


@pytest.mark.parametrize(
    ("path", "old", "new", "reason"),
    [
        ("a.py", "x = 1  # one", "x = 1\n\n# two", "same syntax tree"),
        ("a.py", "x = 1", "x = 2", ""),
        ("a.py", "x = (", "x = ((", ""),
        ("relive.yaml", "version: 1", "version: 2", "relive reads it, not the command"),
        ("p.yaml", "a: 1  # one", "a: 1", "same values"),
        ("out/m.csv", "1", "2", "the command writes it"),
    ],
)
def test_what_cannot_matter_is_cleared(maker: Maker, path: str, old: str, new: str, reason: str) -> None:
    options: dict[str, Any] = {"outs": ("out",)}
    found = swaps(maker, {"code": {path: old}, **options}, {"code": {path: new}, **options})
    assert [it.cleared for it in found.values()] == [reason]


def test_a_reason_for_clearing_is_kept(maker: Maker) -> None:
    (swap,) = swaps(maker, {"code": {"a.py": "1"}}, {"code": {"a.py": "2"}}).values()
    assert cleared(cleared(swap, "first"), "second").cleared == "first"


def test_two_exchanges_of_one_name_are_told_apart(maker: Maker) -> None:
    found = swaps(maker, {"command": "a --x 1 --x 2"}, {"command": "a --x 3 --x 4"})
    assert len(found) == 2
    assert put(maker, {"command": "a --x 1 --x 2"}, {"command": "a --x 3 --x 4"}, "--x").commands == (
        "a --x 3 --x 2",
    )


def test_a_file_that_became_a_link_is_exchanged_whole(maker: Maker) -> None:
    one, other = maker.pair({"code": {"p.json": "{}"}}, {"code": {"x": "1"}})
    other.code["p.json"] = ManifestEntry(path="p.json", link="x")
    found = {it.name: it.after for it in find_swaps(one, other, maker.hub.blobs)}
    assert found["p.json"] == "link to x"


def test_a_variant_lies_in_a_repository_where_its_run_did(hub: HubClient) -> None:
    side, data = Maker(hub).draft(code={"train.py": "print(1)"})
    code = side.recipe.declared.code
    assert Draft.of(side, data).work(hub.blobs, (), ()).repository is None
    commit = replace(code, commit="c" * 40, branch="main", remote="https://git.example.org/a")
    recipe = replace(side.recipe, declared=replace(side.recipe.declared, code=commit))
    inside = replace(side, recipe=recipe)
    assert Draft.of(inside, data).work(hub.blobs, (), ()).repository == commit
    staged = replace(side.detail.run, pipeline_id="f" * 32)
    stage = replace(inside, detail=replace(side.detail, run=staged))
    assert Draft.of(stage, data).work(hub.blobs, (), ()).repository is None
