"""Files as browsers are to save them: shown under the hub's own address they could run as its pages."""

import mimetypes
import re
import unicodedata
from typing import TypeVar
from urllib.parse import quote

from litestar import Response
from litestar.response import Stream

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_T = TypeVar("_T", Stream, Response[bytes])
# As MLflow has it: these are shown as text by its clients, whatever a system's table of types says.
_TEXT = frozenset({"txt", "log", "err", "cfg", "conf", "cnf", "cf", "ini", "properties", "prop", "hocon"})
_TEXT |= frozenset({"toml", "yaml", "yml", "xml", "json", "js", "py", "py3", "csv", "tsv", "md", "rst"})
_TEXT |= frozenset({"mlmodel", "mlproject"})


def attached(reply: _T, name: str) -> _T:
    """Give a reply the headers that save it under this name."""
    # As a header: a type alone would be given a charset, which nobody knows of stored bytes.
    reply.headers["content-type"] = kind_of(name)
    reply.headers["content-disposition"] = disposition(name)
    reply.headers["x-content-type-options"] = "nosniff"
    return reply


def kind_of(name: str) -> str:
    """Give a file's type by its name."""
    ending = name.rpartition(".")[2].lower()
    return "text/plain" if ending in _TEXT else mimetypes.guess_type(name)[0] or "application/octet-stream"


def disposition(name: str) -> str:
    """Say under which name to save a file; headers hold ASCII only.

    Source: RFC 6266, RFC 5987.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "download"
    if not _TOKEN.fullmatch(plain):
        escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
        plain = f'"{escaped}"'
    extended = "" if name.isascii() else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f"attachment; filename={plain}{extended}"
