"""What a run made, file by file, and a look into one of them that cannot harm the reader."""

import csv
import io
import json
from typing import Any, Final

import msgspec

from relive.core.artifact import ManifestEntry
from relive.core.run import Artifact
from relive.errors import NotFound
from relive.hub.web.views.run import RunHead, get_head
from relive.hub.web.words import number
from relive.services.context import Services
from relive.services.inputs import load_manifest
from relive.services.runs import find_file

_MOST_FILES = 500
_CLIENTS: Final = "artifact"
_PEEK: Final = 256 * 1024
_MOST_ROWS, _MOST_CELLS, _MOST_LINES = 100, 40, 2000

# Shown as pictures only if their first bytes say that they are: names do not count.
_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)
_SOUNDS: Final = ((b"OggS", "audio/ogg"), (b"ID3", "audio/mpeg"), (b"fLaC", "audio/flac"))


class FileLine(msgspec.Struct, frozen=True, kw_only=True):
    """One file; `digest` is empty where it was not worth reading a manifest for."""

    path: str
    artifact: str
    kind: str
    size_bytes: int
    digest: str = ""
    link: str = ""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A look into a file.

    Attributes:
        kind: "image", "table", "text" or "none".
        note: What was left out, or why there is nothing to see.
    """

    path: str
    kind: str
    size_bytes: int
    digest: str
    text: str = ""
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    note: str = ""


class ArtifactsTab(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a run; `left_out` counts those beyond what one page shows."""

    head: RunHead
    files: tuple[FileLine, ...]
    left_out: int
    total_bytes: int
    preview: Preview | None


def get_artifacts(services: Services, run_id: str, *, path: str = "") -> ArtifactsTab:
    """Give a run's files, and a look into one.

    Raises:
        NotFound: There is no such run, or it has no such file.
    """
    head = get_head(services, run_id)
    lines = list_files(services, head.id)
    preview = look_into(services, head.id, find_line(lines, path)) if path else None
    return ArtifactsTab(
        head=head,
        files=tuple(lines[:_MOST_FILES]),
        left_out=max(0, len(lines) - _MOST_FILES),
        total_bytes=sum(line.size_bytes for line in lines),
        preview=preview,
    )


def list_files(services: Services, run_id: str) -> list[FileLine]:
    """Give every file of a run."""
    return [
        line for artifact in services.store.list_artifacts(run_id) for line in _lines_of(services, artifact)
    ]


def _lines_of(services: Services, artifact: Artifact) -> list[FileLine]:
    if artifact.kind == _CLIENTS and artifact.files == 1:
        # What a client stored is a manifest a file: a run may have thousands, which need not all be read.
        line = FileLine(path=artifact.path, artifact="", kind=_CLIENTS, size_bytes=artifact.size_bytes)
        return [line]
    return [
        FileLine(
            path=entry.path,
            artifact=artifact.path,
            kind=artifact.kind,
            size_bytes=entry.size_bytes,
            digest=entry.digest,
            link=entry.link or "",
        )
        for entry in load_manifest(services, artifact.manifest).entries
    ]


def find_line(lines: list[FileLine], path: str) -> FileLine:
    """Give the file of this path.

    Raises:
        NotFound: There is none, or it is a link.
    """
    found = next((line for line in lines if line.path == path and not line.link), None)
    if found is None:
        raise NotFound(kind="artifact file", name=path)
    return found


def shown_type(data: bytes) -> str:
    """Give the media type of what browsers show or play, by its first bytes; empty for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "audio/wav"
    return picture_type(data) or next((kind for magic, kind in _SOUNDS if data.startswith(magic)), "")


def picture_type(data: bytes) -> str:
    """Give the media type of a picture that browsers show, by its first bytes; empty for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _PICTURES if data.startswith(magic)), "")


def entry_line(entry: ManifestEntry) -> FileLine:
    """Give a file of a manifest that belongs to no artifact."""
    return FileLine(
        path=entry.path,
        artifact="",
        kind="",
        size_bytes=entry.size_bytes,
        digest=entry.digest,
        link=entry.link or "",
    )


def look_into(
    services: Services, run_id: str, line: FileLine, *, rows: int = _MOST_ROWS, lines: int = _MOST_LINES
) -> Preview:
    """Give a look into a file: so many rows of a table, or lines of a text, and never all of a large one."""
    digest = line.digest or find_file(services, run_id, line.path)
    data = b"".join(services.blobs.iter_chunks(digest, 0, min(_PEEK, line.size_bytes)))
    whole = len(data) == line.size_bytes
    facts = {"path": line.path, "size_bytes": line.size_bytes, "digest": digest}
    if picture_type(data):
        return msgspec.convert(facts | {"kind": "image"}, Preview)
    try:
        # A cut may fall inside a character.
        text = data.decode() if whole else data.decode(errors="ignore")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return msgspec.convert(facts | {"kind": "none", "note": "These bytes are no text."}, Preview)
    note = "" if whole else "Only its beginning is shown."
    suffix = line.path.rpartition(".")[2].lower()
    if suffix in ("csv", "tsv"):
        return _csv_table(facts, text, "\t" if suffix == "tsv" else ",", note, rows)
    if suffix == "json" and whole:
        table = _json_table(facts, text, rows)
        if table is not None:
            return table
        text = _pretty(text)
    every = text.splitlines()
    if len(every) > lines:
        note = f"The first {lines} of {len(every)} lines are shown."
    shown = "\n".join(every[:lines])
    return msgspec.convert(facts | {"kind": "text", "text": shown, "note": note}, Preview)


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _json_table(facts: dict[str, object], text: str, most: int) -> Preview | None:
    """Read a table as our own and MLflow's clients write it; None if it is none."""
    try:
        read = json.loads(text)
        rows = read.get("rows", read.get("data")) if isinstance(read, dict) else None
        if not isinstance(rows, list) or not isinstance(read.get("columns"), list):
            return None
        if not all(isinstance(row, list) for row in rows):
            return None
    except (ValueError, RecursionError):
        return None
    return _table(facts, [read["columns"], *rows], "", most)


def _csv_table(facts: dict[str, object], text: str, delimiter: str, note: str, most: int) -> Preview:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error as error:
        return msgspec.convert(
            facts | {"kind": "text", "text": text, "note": f"It is no table: {error}."}, Preview
        )
    return _table(facts, rows, note, most)


def _table(facts: dict[str, object], rows: list[list[Any]], note: str, most: int) -> Preview:
    if len(rows) > most + 1:
        note = f"The first {most} rows are shown."
    header, body = (rows[0], rows[1 : most + 1]) if rows else ([], [])
    cells = [[_cell(value) for value in row[:_MOST_CELLS]] for row in body]
    names = [_cell(value) for value in header[:_MOST_CELLS]]
    return msgspec.convert(facts | {"kind": "table", "header": names, "rows": cells, "note": note}, Preview)


def _cell(value: Any) -> str:
    if isinstance(value, str | float):
        return number(value)
    return json.dumps(value, ensure_ascii=False)
