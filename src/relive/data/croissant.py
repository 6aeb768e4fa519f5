"""A version's metadata as Croissant, which catalogues and loaders of data sets read.

Source: Croissant Format Specification 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

import hashlib
import mimetypes
import posixpath
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import IO, Any, Final

from relive.core.artifact import Manifest, ManifestEntry
from relive.core.dataset import DatasetVersion
from relive.data.tables import CSV, JSONL, PARQUET, kind_of

# A file of its own needs its SHA-256, for which all of it is read; of more files the endings are told.
_MOST_FILES: Final = 200
_READ_BYTES: Final = 1 << 20
_FORMATS: Final = {CSV: "text/csv", JSONL: "application/jsonlines", PARQUET: "application/x-parquet"}
_TYPES: Final = {
    "integer": "sc:Integer",
    "number": "sc:Float",
    "boolean": "sc:Boolean",
    "text": "sc:Text",
    "other": "sc:Text",
    "empty": "sc:Text",
}
_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "samplingRate": "cr:samplingRate",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

Opener = Callable[[ManifestEntry], IO[bytes]]


def to_croissant(version: DatasetVersion, manifest: Manifest, opener: Opener, url: str) -> dict[str, Any]:
    """Describe a version; addresses of files are relative to where the document lies beside them.

    Args:
        version: What is known of it; its profile gives the record sets.
        manifest: Its files.
        opener: Opens a file, to compute its SHA-256.
        url: The version's page.
    """
    files = [entry for entry in manifest.entries if entry.link is None]
    are_few = len(files) <= _MOST_FILES
    single = files if are_few else [it for it in files if kind_of(it.path)][:_MOST_FILES]
    sets = [] if are_few else _file_sets(files)
    tables = version.profile.get("tables", ())
    known = {entry.path for entry in single}
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": version.name,
        "description": version.message or f"{version.ref} as relive keeps it",
        "version": f"{version.number}.0.0",
        "url": url,
        "identifier": version.digest,
        "datePublished": datetime.fromtimestamp(version.created_at, UTC).isoformat(timespec="seconds"),
        "creator": {"@type": "sc:Person", "name": version.created_by},
        "distribution": [*(_file_object(entry, opener) for entry in single), *sets],
        "recordSet": [_record_set(table) for table in tables if table["path"] in known and _columns(table)],
    }


def _file_object(entry: ManifestEntry, opener: Opener) -> dict[str, Any]:
    hasher = hashlib.sha256()
    with opener(entry) as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
    return {
        "@type": "cr:FileObject",
        "@id": entry.path,
        "name": entry.path,
        "contentUrl": entry.path,
        "contentSize": f"{entry.size_bytes} B",
        "encodingFormat": _format_of(entry.path),
        "sha256": hasher.hexdigest(),
    }


def _file_sets(files: Iterable[ManifestEntry]) -> list[dict[str, Any]]:
    endings = sorted({posixpath.splitext(entry.path)[1] for entry in files})
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"files{ending or '-without-ending'}",
            "name": f"files{ending or '-without-ending'}",
            "includes": f"**/*{ending}",
            "encodingFormat": _format_of(f"x{ending}"),
        }
        for ending in endings
    ]


def _record_set(table: dict[str, Any]) -> dict[str, Any]:
    path = table["path"]
    by_path = table["format"] == JSONL
    return {
        "@type": "cr:RecordSet",
        "@id": f"{path}#rows",
        "name": f"{path}#rows",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{path}#rows/{column['name']}",
                "name": column["name"],
                "dataType": _TYPES[column.get("type", "empty")],
                "source": {
                    "fileObject": {"@id": path},
                    "extract": {"jsonPath": f"$.{column['name']}"} if by_path else {"column": column["name"]},
                },
            }
            for column in _columns(table)
        ],
    }


def _columns(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [column for column in table.get("columns", ()) if column["name"]]


def _format_of(path: str) -> str:
    kind = kind_of(path)
    if path.lower().endswith(".tsv"):
        return "text/tab-separated-values"
    return _FORMATS[kind] if kind else mimetypes.guess_type(path)[0] or "application/octet-stream"
