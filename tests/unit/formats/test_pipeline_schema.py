"""The JSON Schema says the same as the parser, about good files and about bad ones."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import relive.formats
from relive.core.expand import plan
from relive.errors import InvalidPipelineFile
from relive.formats.pipeline_file import json_schema, parse_pipeline
from relive.formats.pipeline_file_facets import DEPLOY, GATE, MATRIX, REGISTER, RETRY, SELECT
from relive.formats.pipeline_file_keys import DEFAULTS, ENVIRONMENT, FILE, PUSH, REPORTS, STAGE
from relive.formats.pipeline_file_kinds import At, Notes, Refused
from relive.formats.pipeline_file_words import RESOURCES
from relive.formats.yaml_tree import read_tree, to_plain
from tests.unit.formats.test_pipeline_file import EVERYTHING, ROOT

SHIPPED = Path(relive.formats.__file__).parent / "relive.schema.json"
VALIDATOR = Draft202012Validator(json_schema())

# What the words of JSON Schema cannot say: numbers compared with one another, and kinds of characters.
BEYOND_SCHEMA = ("lets nothing pass", "printable characters", "without NUL")


def document(text: str) -> Any:
    """Give a pipeline file as the plain values that a validator takes."""
    return to_plain(read_tree(text.encode(), []))


def schema_says(doc: Any) -> list[str]:
    """Give what the schema has against a document."""
    return [error.message for error in VALIDATOR.iter_errors(doc)]


def tables_say(doc: Any) -> list[str]:
    """Give what the parser's tables have against a document, without what `core.expand` finds."""
    notes = Notes()
    tree = read_tree(json.dumps(doc, ensure_ascii=False).encode(), notes.problems)
    assert tree is not None
    try:
        FILE.kind("a pipeline").read(At(tree, "", notes, 1))
    except Refused:
        assert notes.problems
    return [problem.what for problem in notes.problems]


def test_the_shipped_file_is_what_the_tables_say():
    told = "write it again: json.dumps(json_schema(), indent=2, ensure_ascii=False) and a line feed"
    assert SHIPPED.read_text() == json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", told


def test_it_is_a_schema_of_its_draft():
    Draft202012Validator.check_schema(json_schema())


def test_every_key_is_described_for_editors():
    def keys(schema: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(schema, dict):
            yield from schema.get("properties", {}).items()
            for part in schema.values():
                yield from keys(part)
        elif isinstance(schema, list):
            for part in schema:
                yield from keys(part)

    found = dict(keys(json_schema()))
    assert len(found) > 40
    assert [name for name, schema in found.items() if not schema.get("description")] == []


@pytest.mark.parametrize(
    "text",
    [EVERYTHING, *(path.read_text() for path in sorted(ROOT.glob("examples/*/relive.yaml")))],
)
def test_good_files_are_good_to_both(text):
    doc = document(text)
    assert schema_says(doc) == []
    assert tables_say(doc) == []
    parse_pipeline(text.encode())


BAD = [
    {"stages": {}},
    {"stages": []},
    {"stages": {"A": {"cmd": "x"}}},
    {"stages": {"a": {}}},
    {"stages": {"a": {"cmd": ""}}},
    {"stages": {"a": {"cmd": []}}},
    {"stages": {"a": {"cmd": 1}}},
    {"stages": {"a": {"cmd": "x", "outputs": ["m"]}}},
    {"stages": {"a": {"outs": ["m"]}}},
    {"stages": {"a": {"select": {"metric": "m"}, "outs": ["m"]}}},
    {"stages": {"a": {"cmd": "x", "needs": []}}},
    {"stages": {"a": {"cmd": "x", "deps": [{"dataset": "d"}]}}},
    {"stages": {"a": {"cmd": "x", "deps": ["/x"]}}},
    {"stages": {"a": {"cmd": "x", "params": ["lr"]}}},
    {"stages": {"a": {"cmd": "x", "matrix": {}}}},
    {"stages": {"a": {"cmd": "x", "matrix": {"exclude": []}}}},
    {"stages": {"a": {"cmd": "x", "matrix": {"s": []}}}},
    {"stages": {"a": {"cmd": "x", "matrix": {"s": [None]}}}},
    {"stages": {"a": {"cmd": "x", "matrix": {"1s": [1]}}}},
    {"stages": {"a": {"cmd": "x", "matrix": {"s": [1], "max_parallel": 0}}}},
    {"stages": {"a": {"cmd": "x", "cache": "yes"}}},
    {"stages": {"a": {"cmd": "x", "timeout": "0s"}}},
    {"stages": {"a": {"cmd": "x", "timeout": 5}}},
    {"stages": {"a": {"cmd": "x", "resources": {"cpu": 0}}}},
    {"stages": {"a": {"cmd": "x", "resources": {"memory": "4GB"}}}},
    {"stages": {"a": {"cmd": "x", "retry": {"max": 11}}}},
    {"stages": {"a": {"cmd": "x", "retry": {"when": ["never"]}}}},
    {"stages": {"a": {"cmd": "x", "env": {"RELIVE_X": "1"}}}},
    {"stages": {"a": {"cmd": "x", "env": {"X": None}}}},
    {"stages": {"a": {"cmd": "x", "secrets": ["K"]}}},
    {"stages": {"a": {"cmd": "x", "sweep": {}}}},
    {"stages": {"a": {"cmd": "x", "gates": [{"metric": "m"}]}}},
    {"stages": {"a": {"cmd": "x", "gates": [{"min": 1}]}}},
    {"stages": {"a": {"cmd": "x", "gates": [{"metric": "m", "min": "1"}]}}},
    {"stages": {"a": {"cmd": "x", "gates": [{"metric": "m", "min": 1, "min_delta": 0}]}}},
    {"stages": {"a": {"cmd": "x", "gates": [{"metric": "m", "vs": "parent"}]}}},
    {"stages": {"a": {"cmd": "x", "gates": [{"scan": "pickle"}]}}},
    {"stages": {"a": {"register": {"model": "m"}}}},
    {"stages": {"a": {"deploy": {"endpoint": "e", "strategy": {"canary": {}}}}}},
    {"version": 2, "stages": {"a": {"cmd": "x"}}},
    {"env": {"python": 3.1}, "stages": {"a": {"cmd": "x"}}},
    {"env": {"lock": "a", "requirements": "b"}, "stages": {"a": {"cmd": "x"}}},
    {"triggers": {"schedule": []}, "stages": {"a": {"cmd": "x"}}},
    {"vars": {"a": []}, "stages": {"a": {"cmd": "x"}}},
    {"version": 1},
    [],
    "text",
]


@pytest.mark.parametrize("doc", BAD, ids=json.dumps)
def test_bad_files_are_bad_to_both(doc):
    assert schema_says(doc)
    assert tables_say(doc)


def places(doc: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of every value below the top."""
    steps = doc.items() if isinstance(doc, dict) else enumerate(doc) if isinstance(doc, list) else ()
    for step, value in steps:
        yield (*path, step)
        yield from places(value, (*path, step))


GOOD = document(EVERYTHING)
PLACES = list(places(GOOD))
VALUES = st.one_of(
    st.sampled_from(
        [None, True, False, 0, 1, -1, 2.5, "", " ", "x", "4GiB", "10s", "a/b", "/a", "main", "1"]
    ),
    st.sampled_from([[], {}, ["x"], [1], [None], {"x": 1}, {"metric": "m"}, {"metric": "m", "max": 1}, [[]]]),
    st.integers(-300, 300),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5),
)
KEYS = st.sampled_from(
    ["cmd", "outs", "gates", "max", "min", "vs", "from", "env", "when", "seed", "x", "Y", "1"]
)


@st.composite
def mutants(draw):
    """Draw the good file with up to three places changed, removed, or called otherwise."""
    doc = copy.deepcopy(GOOD)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(PLACES))
        parent = doc
        try:
            for step in path:
                parent = parent[step]
            value = parent[last]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
        if not isinstance(parent, dict | list):
            continue
        what = draw(st.sampled_from(["change", "remove", "rename", "add"]))
        if what == "change":
            parent[last] = draw(VALUES)
        elif what == "remove":
            del parent[last]
        elif isinstance(parent, dict):
            if what == "rename":
                del parent[last]
            parent[draw(KEYS)] = value if what == "rename" else draw(VALUES)
    return doc


@settings(max_examples=300)
@given(mutants())
def test_both_agree_about_every_mutant(doc):
    against = schema_says(doc)
    noted = [what for what in tables_say(doc) if not any(words in what for words in BEYOND_SCHEMA)]
    if not against:
        assert noted == [], "an editor shows nothing, and the hub refuses it"
        return
    # The whole parser, because some of what a schema refuses only the graph's checks find (`if: 1`).
    with pytest.raises(InvalidPipelineFile):
        parse_pipeline(json.dumps(doc, ensure_ascii=False).encode())


# --- the reference page ---

PAGE = (ROOT / "docs/reference/relive-yaml.md").read_text()
TABLES = {
    "the file": FILE,
    "env": ENVIRONMENT,
    "defaults": DEFAULTS,
    "push": PUSH,
    "stage": STAGE,
    "resources": RESOURCES,
    "retry": RETRY,
    "matrix": MATRIX,
    "reports": REPORTS,
    "select": SELECT,
    "gates": GATE,
    "register": REGISTER,
    "deploy": DEPLOY,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_reference_page_says_what_each_key_means(table):
    rows = [
        f"| `{name}`{' (required)' if key.required else ''} | {key.about} |"
        for name, key in table.keys.items()
    ]
    assert "| key | meaning |\n|---|---|\n" + "\n".join(rows) + "\n" in PAGE


def test_the_reference_page_names_what_is_to_come():
    to_come = {word for table in (FILE, STAGE, ENVIRONMENT) for word in table.later}
    assert [word for word in to_come if f"`{word}`" not in PAGE] == []


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_of_the_reference_page_can_be_planned(text):
    assert schema_says(document(text)) == []
    assert plan(parse_pipeline(text.encode()), branch="main", commit="0" * 40, trigger="push")
