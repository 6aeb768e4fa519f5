"""What a run made, file by file, and a look into one of them that cannot harm the reader."""

import csv
import io
import json
from typing import Final

import msgspec

from relive.core.artifact import ManifestEntry
from relive.errors import NotFound
from relive.hub.web.views.run import RunHead, get_head
from relive.services.context import Services
from relive.services.inputs import load_manifest

_MOST_FILES = 500
_PEEK: Final = 256 * 1024
_MOST_ROWS, _MOST_CELLS, _MOST_LINES = 100, 40, 2000

# Shown as pictures only if their first bytes say that they are: names do not count.
_PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


class FileLine(msgspec.Struct, frozen=True, kw_only=True):
    """One file."""

    path: str
    artifact: str
    kind: str
    size_bytes: int
    digest: str
    link: str


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
    lines = [
        FileLine(
            path=entry.path,
            artifact=artifact.path,
            kind=artifact.kind,
            size_bytes=entry.size_bytes,
            digest=entry.digest,
            link=entry.link or "",
        )
        for artifact in services.store.list_artifacts(head.id)
        for entry in load_manifest(services, artifact.manifest).entries
    ]
    preview = _preview(services, find_line(lines, path)) if path else None
    return ArtifactsTab(
        head=head,
        files=tuple(lines[:_MOST_FILES]),
        left_out=max(0, len(lines) - _MOST_FILES),
        total_bytes=sum(line.size_bytes for line in lines),
        preview=preview,
    )


def find_line(lines: list[FileLine], path: str) -> FileLine:
    """Give the file of this path.

    Raises:
        NotFound: There is none, or it is a link.
    """
    found = next((line for line in lines if line.path == path and not line.link), None)
    if found is None:
        raise NotFound(kind="artifact file", name=path)
    return found


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


def _preview(services: Services, line: FileLine) -> Preview:
    data = b"".join(services.blobs.iter_chunks(line.digest, 0, min(_PEEK, line.size_bytes)))
    whole = len(data) == line.size_bytes
    facts = {"path": line.path, "size_bytes": line.size_bytes, "digest": line.digest}
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
        return _table(facts, text, "\t" if suffix == "tsv" else ",", note)
    if suffix == "json" and whole:
        text = _pretty(text)
    lines = text.splitlines()
    if len(lines) > _MOST_LINES:
        note = f"The first {_MOST_LINES} of {len(lines)} lines are shown."
    return msgspec.convert(
        facts | {"kind": "text", "text": "\n".join(lines[:_MOST_LINES]), "note": note}, Preview
    )


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _table(facts: dict[str, object], text: str, delimiter: str, note: str) -> Preview:
    try:
        rows = [row[:_MOST_CELLS] for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error as error:
        return msgspec.convert(
            facts | {"kind": "text", "text": text, "note": f"It is no table: {error}."}, Preview
        )
    if len(rows) > _MOST_ROWS + 1:
        note = f"The first {_MOST_ROWS} rows are shown."
    header, body = (rows[0], rows[1 : _MOST_ROWS + 1]) if rows else ([], [])
    return msgspec.convert(facts | {"kind": "table", "header": header, "rows": body, "note": note}, Preview)
