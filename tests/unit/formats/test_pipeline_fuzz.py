"""Whatever bytes come in, the parser gives a spec or its one error; and what it gives can be planned."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from relive.core.expand import plan
from relive.core.pipeline import PipelineSpec
from relive.errors import InvalidPipelineFile
from relive.formats.pipeline_file import parse_pipeline
from tests.unit.formats.test_pipeline_file import EVERYTHING

LINES = EVERYTHING.splitlines()
BITS = [
    "${{",
    "}}",
    "matrix.",
    "- ",
    ": ",
    "&a ",
    "*a",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "|",
    "\t",
    "\0",
    "é",
    "<<",
]


def parse(data: bytes) -> PipelineSpec | None:
    """Read a file, or give None if it is refused with reasons."""
    try:
        return parse_pipeline(data)
    except InvalidPipelineFile as error:
        if not error.problems or not all(error.problems):
            raise AssertionError("refused without a reason") from error
        return None


@given(st.binary(max_size=300))
def test_any_bytes(data):
    parse(data)


@settings(max_examples=300)
@given(st.data())
def test_a_good_file_with_lines_and_letters_changed(data):
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        column = data.draw(st.integers(0, len(lines[index])))
        change = data.draw(st.sampled_from(["cut", "insert", "drop", "double", "swap"]))
        if change == "cut":
            lines[index] = lines[index][:column]
        elif change == "insert":
            bit = data.draw(st.sampled_from(BITS))
            lines[index] = lines[index][:column] + bit + lines[index][column:]
        elif change == "drop" and len(lines) > 1:
            del lines[index]
        elif change == "double":
            lines.insert(index, lines[index])
        else:
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[index], lines[other] = lines[other], lines[index]
    spec = parse("\n".join(lines).encode())
    if spec is not None:
        assert plan(spec, branch="main", commit="0" * 40, trigger="push")


names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(lambda name: name != "environment")
words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(str.strip)
stages = st.fixed_dictionaries(
    {"cmd": words.filter(lambda text: "${{" not in text)},
    optional={
        "env": st.dictionaries(
            st.from_regex(r"X[A-Z_]{0,5}", fullmatch=True), words.filter(lambda t: "${{" not in t)
        ),
        "cache": st.booleans(),
        "timeout": st.integers(1, 10**6).map(lambda n: f"{n}s"),
        "resources": st.fixed_dictionaries(
            {}, optional={"cpu": st.integers(1, 64), "memory": st.integers(1, 64).map(lambda n: f"{n}GiB")}
        ),
        "matrix": st.fixed_dictionaries(
            {"seed": st.lists(st.integers(), min_size=1, max_size=4, unique=True)}
        ),
    },
)


@given(st.dictionaries(names, stages, min_size=1, max_size=5))
def test_what_is_written_is_what_is_read(file):
    spec = parse(json.dumps({"stages": file}, ensure_ascii=False).encode())
    assert spec is not None
    assert [stage.name for stage in spec.stages] == list(file)
    for stage in spec.stages:
        written = file[stage.name]
        assert stage.cmd == (written["cmd"],)
        assert stage.env == written.get("env", {})
        assert stage.cache == written.get("cache", True)
        assert stage.matrix == written.get("matrix", {})
        assert stage.timeout_s == (float(written["timeout"][:-1]) if "timeout" in written else None)
        assert stage.resources.cpu == written.get("resources", {}).get("cpu", 1)
    nodes = plan(spec, branch="main", commit="0" * 40, trigger="push")
    assert [node.name for node in nodes if not node.values] == [n for n in file if "matrix" not in file[n]]
