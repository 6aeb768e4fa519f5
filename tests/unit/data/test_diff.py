"""Which files and rows differ: found whatever the order, the format and the number."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relive.core.artifact import Manifest, ManifestEntry
from relive.data import diff
from relive.data.diff import RowDiff, diff_files, diff_rows
from relive.data.profile import profile_tables
from relive.data.tables import kind_of, open_table
from relive.errors import InvalidInput
from relive.formats.hashing import blake3_digest
from relive.formats.manifest_io import list_tree, read_manifest

CELLS = st.text('ab,"\n é', max_size=4)
ROWS = st.lists(st.tuples(st.integers(0, 8), CELLS), max_size=12)


def manifest(**files: str) -> Manifest:
    """Make a manifest of names and contents."""
    return Manifest.of(
        ManifestEntry(path, blake3_digest(text.encode()), len(text)) for path, text in files.items()
    )


def rows_of(before: str, after: str, path: str = "t.csv", key: tuple[str, ...] = ()) -> RowDiff:
    """Compare two tables given as text."""
    entries = [ManifestEntry(path, blake3_digest(it.encode()), len(it)) for it in (before, after)]
    texts = {entry.digest: text for entry, text in zip(entries, (before, after), strict=True)}

    def opener(entry: ManifestEntry) -> io.BytesIO:
        return io.BytesIO(texts[entry.digest].encode())

    return diff_rows((entries[0], entries[1]), (opener, opener), key)


def as_csv(rows: list[tuple[int, str]]) -> str:
    """Write rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([("id", "v"), *rows])
    return text.getvalue()


def read(path: str, data: bytes) -> list[dict[str, object]]:
    """Read all rows of a table."""
    with open_table(path, io.BytesIO(data)) as table:
        return list(table.rows)


class TestFiles:
    def test_each_kind_of_change(self):
        found = diff_files(
            manifest(same="1", gone="2", edited="3", old="moved"),
            manifest(same="1", new="4", edited="5", now="moved"),
        )
        assert (found.added, found.removed, found.moved, found.same) == (
            ["new"],
            ["gone"],
            [("old", "now")],
            1,
        )
        assert [(it.path, it.size_before) for it in found.changed] == [("edited", 1)]
        assert not found.is_empty
        assert diff_files(manifest(a="1"), manifest(a="1")).is_empty

    def test_an_empty_file_is_not_moved(self):
        found = diff_files(manifest(a=""), manifest(b=""))
        assert (found.added, found.removed, found.moved) == (["b"], ["a"], [])


class TestRows:
    @given(ROWS, ROWS)
    @settings(deadline=None)
    def test_whole_rows_are_counted(self, before, after):
        found = rows_of(as_csv(before), as_csv(after))
        one, two = Counter(before), Counter(after)
        assert found.same == (one & two).total()
        assert found.added == (two - one).total()
        assert found.removed == (one - two).total()
        assert found.changed == 0

    @given(st.dictionaries(st.integers(0, 8), CELLS), st.dictionaries(st.integers(0, 8), CELLS))
    @settings(deadline=None)
    def test_with_a_key_rows_change(self, before, after):
        found = rows_of(as_csv(list(before.items())), as_csv(list(after.items())), key=("id",))
        common = before.keys() & after.keys()
        assert found.changed == sum(before[key] != after[key] for key in common)
        assert found.same == sum(before[key] == after[key] for key in common)
        assert (found.added, found.removed) == (len(after) - len(common), len(before) - len(common))

    def test_examples_and_columns(self):
        found = rows_of("id,v\n1,a\n2,b\n", "id,w,v\n1,x,A\n3,y,c\n", key=("id",))
        assert (found.columns_added, found.columns_removed) == (("w",), ())
        assert found.examples == {
            "removed": [{"id": "2", "v": "b"}],
            "added": [{"id": "3", "w": "y", "v": "c"}],
            "changed": [{"id": "1", "w": "x", "v": "A"}],
        }

    def test_many_rows_spill_and_are_right(self, monkeypatch):
        monkeypatch.setattr(diff, "_PART_BYTES", 100)
        before = "".join(f'{{"n": {n}, "v": {n * n}}}\n' for n in range(2000))
        after = "".join(f'{{"v": {n * n + (n == 7)}, "n": {n}}}\n' for n in reversed(range(5, 2003)))
        found = rows_of(before, after, "t.jsonl", key=("n",))
        assert (found.added, found.removed, found.changed, found.same) == (3, 5, 1, 1994)
        assert found.examples["changed"] == [{"v": 50, "n": 7}]

    def test_a_key_that_is_no_column(self):
        with pytest.raises(InvalidInput, match="a column of both: id, v"):
            rows_of("id,v\n", "id,v\n", key=("no",))

    def test_empty_tables(self):
        assert rows_of("", "").same == 0
        assert rows_of("", "id\n1\n").columns_added == ("id",)


class TestTables:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [("a.csv", "csv"), ("b.TSV", "csv"), ("c.jsonl", "jsonl"), ("d.parquet", "parquet"), ("e", None)],
    )
    def test_the_ending_says_the_kind(self, path, kind):
        assert kind_of(path) == kind

    @pytest.mark.parametrize(
        ("path", "data"),
        [
            ("a.csv", b"a\n\xff\xfe\n"),
            ("a.jsonl", b"{"),
            ("a.jsonl", b"[" * 100_000),
            ("a.txt", b""),
            ("a.csv", b"\xff"),
        ],
    )
    def test_what_is_no_table_is_refused(self, path, data):
        with pytest.raises(InvalidInput, match="table"):
            read(path, data)

    def test_a_mark_of_byte_order_and_tabs(self):
        with open_table("a.tsv", io.BytesIO("\ufeffa\tb\n1\t2\n\n".encode())) as table:
            assert table.columns == ("a", "b")
            assert list(table.rows) == [{"a": "1", "b": "2"}]

    def test_lines_that_are_no_objects(self):
        assert read("a.jsonl", b"1\n\n[2]\n") == [{"value": 1}, {"value": [2]}]


class TestProfile:
    def test_columns_types_and_statistics(self, tmp_path: Path, monkeypatch):
        (tmp_path / "t.csv").write_text(
            "n,x,flag,s,none,many\n" + "".join(f"{n},{n}.5,,s{n % 2},,{n}\n" for n in range(9))
        )
        (tmp_path / "b.jsonl").write_text('{"ok": true, "v": null}\n{"ok": false, "v": [1]}\n')
        (tmp_path / "bad.jsonl").write_text("{")
        (tmp_path / "image.png").write_bytes(b"\x89PNG")
        monkeypatch.setattr("relive.data.profile._MOST_DISTINCT", 5)
        found = profile_tables(tmp_path, read_manifest(tmp_path, list_tree(tmp_path)))
        boolean, bad, table = found["tables"]
        assert found["all_tables"] == 3
        assert (table["path"], table["format"], table["rows"]) == ("t.csv", "csv", 9)
        columns = {column["name"]: column for column in table["columns"]}
        assert columns["n"] == {
            "name": "n",
            "type": "integer",
            "distinct": None,
            "min": 0.0,
            "max": 8.0,
            "mean": 4.0,
        }
        assert (columns["x"]["type"], columns["x"]["mean"]) == ("number", 4.5)
        assert (columns["s"]["type"], columns["s"]["distinct"], columns["s"]["min"]) == ("text", 2, "s0")
        assert columns["none"] == {"name": "none", "missing": 9}
        assert [(it["name"], it["type"]) for it in boolean["columns"]] == [("ok", "boolean"), ("v", "other")]
        assert "cannot be used" in bad["note"]
        assert not bad["all_rows"]

    def test_only_the_first_rows_are_looked_at(self, tmp_path: Path, monkeypatch):
        monkeypatch.setattr("relive.data.profile._MOST_ROWS", 3)
        (tmp_path / "t.csv").write_text("n\n1\n2\n3\n4\n")
        (table,) = profile_tables(tmp_path, read_manifest(tmp_path, ["t.csv"]))["tables"]
        assert (table["rows"], table["all_rows"]) == (3, False)

    def test_without_tables_there_is_none(self, tmp_path: Path):
        assert profile_tables(tmp_path, Manifest(())) == {}
