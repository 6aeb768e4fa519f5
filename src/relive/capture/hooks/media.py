"""What can be logged beside numbers: images, sound, tables, histograms, plots, texts and files.

Each is written into the folder `media` of the spool at once, since what it was made of may change, and named
by a line of `index-PID.jsonl` beside it; the folder becomes the artifact `relive.media` of the run. The index
is described in `docs/design/media.md`. No library is imported for it: whoever hands over an array or a figure
has its library loaded.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Sequence
from typing import Any

from .pictures import encode_png, encode_wav
from .values import number, plain

FOLDER = "media"
ARTIFACT = "relive.media"
FORMAT = 1
MOST_ROWS = 100_000
LONGEST_TEXT = 1_000_000

Facts = dict[str, Any]


class Media:
    """One thing to be shown.

    Attributes:
        kind: What a page shows it as.
        caption: Said below it.
    """

    kind = ""

    def __init__(self, caption: str = "") -> None:
        self.caption = str(caption)

    def save(self, path: str) -> Facts:
        """Write it to files whose names begin with this path; give its facts for the index.

        Raises:
            Exception: It is not what it should be, or there is no room; the caller notes it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it is written")


class Image(Media):
    """A picture: an array of (height, width) or (height, width, 1 to 4), a PIL image, a PNG's bytes, a path.

    Arrays of whole numbers are 0 to 255, of fractions 0 to 1. A tensor is (channels, height, width).
    """

    kind = "image"

    def __init__(self, data: Any, caption: str = "") -> None:
        super().__init__(caption)
        self._data = data

    def save(self, path: str) -> Facts:
        """Write it as PNG, or copy the file it is."""
        data = self._data
        if isinstance(data, (str, os.PathLike)):
            return _copy(data, path)
        if hasattr(data, "save") and hasattr(data, "mode"):
            data.save(f"{path}.png", format="PNG")
            return {"file": f"{path}.png", "width": data.width, "height": data.height}
        if isinstance(data, (bytes, bytearray)):
            return _write(f"{path}{_picture_suffix(bytes(data))}", bytes(data))
        png, width, height = encode_png(data)
        return {**_write(f"{path}.png", png), "width": width, "height": height}


class Audio(Media):
    """Sound: samples from -1 to 1 as (frames) or (frames, channels), a WAV's bytes, or a path.

    Args:
        sample_rate: Frames a second.
    """

    kind = "audio"

    def __init__(self, data: Any, sample_rate: int = 44_100, caption: str = "") -> None:
        super().__init__(caption)
        self._data = data
        self._rate = sample_rate

    def save(self, path: str) -> Facts:
        """Write it as 16-bit WAV, or copy the file it is."""
        if isinstance(self._data, (str, os.PathLike)):
            return _copy(self._data, path)
        if isinstance(self._data, (bytes, bytearray)):
            return _write(f"{path}.wav", bytes(self._data))
        facts = _write(f"{path}.wav", encode_wav(self._data, int(self._rate)))
        return {**facts, "sample_rate": int(self._rate)}


class Table(Media):
    """Rows of values: `Table(columns=["a"], data=[[1], [2]])`, or a data frame."""

    kind = "table"

    def __init__(
        self,
        columns: Any = None,
        data: Iterable[Sequence[Any]] = (),
        dataframe: Any = None,
        caption: str = "",
    ) -> None:
        super().__init__(caption)
        if hasattr(columns, "columns"):
            columns, dataframe = None, columns
        if dataframe is not None:
            columns = list(dataframe.columns)
            data = zip(*(list(dataframe[name]) for name in columns))
        self.columns = [str(name) for name in columns or ()]
        self.rows = [list(row) for row in data]

    def add_data(self, *row: Any) -> None:
        """Add a row."""
        self.rows.append(list(row))

    def save(self, path: str) -> Facts:
        """Write it as JSON of columns and rows; rows beyond 100,000 are left out and counted."""
        rows = [[plain(value) for value in row] for row in self.rows[:MOST_ROWS]]
        document = {"columns": self.columns, "rows": rows}
        facts = _write(f"{path}.json", json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
        return {**facts, "n_rows": len(self.rows), "left_out": len(self.rows) - len(rows)}


class Histogram(Media):
    """How values are distributed: `Histogram(values)`, or counts and edges as NumPy gives them.

    Values that are not finite are left out and counted.
    """

    kind = "histogram"

    def __init__(
        self, values: Any = None, np_histogram: Any = None, num_bins: int = 64, caption: str = ""
    ) -> None:
        super().__init__(caption)
        self.left_out = 0
        if np_histogram is not None:
            counts, edges = np_histogram
            self.counts, self.edges = [number(it) for it in counts], [number(it) for it in edges]
        else:
            self.counts, self.edges = self._count(values, max(1, int(num_bins)))
        if len(self.edges) != len(self.counts) + 1:
            raise ValueError("a histogram has one edge more than it has counts")

    def _count(self, values: Any, bins: int) -> tuple[list[float], list[float]]:
        given = _numbers(values)
        finite = [value for value in given if value - value == 0]
        self.left_out = len(given) - len(finite)
        low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        width = (high - low) / bins or 1.0 / bins
        counts = [0.0] * bins
        for value in finite:
            counts[min(bins - 1, int((value - low) / width))] += 1
        return counts, [low + width * i for i in range(bins + 1)]

    def save(self, path: str) -> Facts:
        """Keep it within the index."""
        return {"counts": self.counts, "edges": self.edges, "left_out": self.left_out}


class Plot(Media):
    """A figure of matplotlib (kept as a picture) or of plotly (kept as its JSON)."""

    kind = "plot"

    def __init__(self, figure: Any, caption: str = "") -> None:
        super().__init__(caption)
        self._figure = figure

    def save(self, path: str) -> Facts:
        """Write the figure."""
        if hasattr(self._figure, "to_plotly_json"):
            return {**_write(f"{path}.plotly.json", self._figure.to_json().encode()), "format": "plotly"}
        figure = self._figure if hasattr(self._figure, "savefig") else self._figure.get_figure()
        figure.savefig(f"{path}.png", format="png")
        return {"file": f"{path}.png", "format": "png"}


class Text(Media):
    """A text; beyond a million letters its rest is left out and counted."""

    kind = "text"

    def __init__(self, text: str, caption: str = "") -> None:
        super().__init__(caption)
        self.text = str(text)

    def save(self, path: str) -> Facts:
        """Write it as UTF-8."""
        facts = _write(f"{path}.txt", self.text[:LONGEST_TEXT].encode("utf-8", "replace"))
        return {**facts, "left_out": max(0, len(self.text) - LONGEST_TEXT)}


class File(Media):
    """Any file, at one step."""

    kind = "file"

    def __init__(self, path: Any, caption: str = "") -> None:
        super().__init__(caption)
        self._path = path

    def save(self, path: str) -> Facts:
        """Copy it."""
        return _copy(self._path, path)


def as_media(value: Any) -> list[Media]:
    """Give what is to be shown of a value; nothing of numbers and of what cannot be shown."""
    if type(value) in (float, int):
        return []
    if isinstance(value, Media):
        return [value]
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, Media) for item in value):
        return list(value)
    if hasattr(value, "savefig") or hasattr(value, "to_plotly_json"):
        return [Plot(value)]
    home = type(value).__module__.partition(".")[0]
    if home == "PIL" and hasattr(value, "save"):
        return [Image(value)]
    if home in ("pandas", "polars") and hasattr(value, "columns"):
        return [Table(dataframe=value)]
    return []


class MediaFolder:
    """The folder of a spool in which a run's media are kept, and their index.

    Args:
        spool: The spool's folder.
    """

    def __init__(self, spool: str) -> None:
        self._folder = os.path.join(spool, FOLDER)
        self._named_by = 0

    def add(
        self, name: str, step: int, media: list[Media], *, at: float | None = None
    ) -> list[dict[str, Any]]:
        """Write media, then their lines of the index; give the records that the spool needs for them.

        Args:
            at: When they were logged; now, if not given.

        Raises:
            Exception: They cannot be written; the index names none of them that is not whole.
        """
        os.makedirs(self._folder, exist_ok=True)
        lines = []
        for place, item in enumerate(media):
            now = time.time() if at is None else at
            stem = f"{_file_name(name)}-{step}-{place}-{int(now * 1e6):x}-{os.getpid()}"
            facts = item.save(os.path.join(self._folder, stem))
            if "file" in facts:
                facts["file"] = os.path.basename(facts["file"])
            line = {"v": FORMAT, "name": name, "step": step, "at": now, "kind": item.kind, "n": place}
            lines.append({**line, "caption": item.caption[:1000], **facts})
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        path = os.path.join(self._folder, f"index-{os.getpid()}.jsonl")
        with open(path, "ab", buffering=0) as file:
            file.write(text.encode("utf-8", "replace"))
        if self._named_by == os.getpid():
            return []
        self._named_by = os.getpid()
        return [{"t": "artifact", "path": self._folder, "name": ARTIFACT}]


def _numbers(values: Any) -> list[float]:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    if hasattr(values, "ravel"):
        values = values.ravel()
    return [number(value) for value in (values.tolist() if hasattr(values, "tolist") else values)]


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80] or "media"


def _write(path: str, data: bytes) -> Facts:
    with open(path, "wb") as file:
        file.write(data)
    return {"file": path, "size_bytes": len(data)}


def _copy(source: Any, path: str) -> Facts:
    target = path + os.path.splitext(os.fspath(source))[1][:20]
    shutil.copyfile(source, target)
    return {"file": target, "size_bytes": os.path.getsize(target)}


def _picture_suffix(data: bytes) -> str:
    kinds = ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"GIF8", ".gif"), (b"RIFF", ".webp"))
    for begin, suffix in kinds:
        if data.startswith(begin):
            return suffix
    raise ValueError("these bytes are no PNG, JPEG, GIF or WebP")
