"""What a run logged to be looked at, step by step: pictures, sound, tables, histograms, texts.

Our own clients keep an index beside the files; MLflow's write what it would say into the names of pictures.
Both are a stranger's words: what cannot be read is left out, and nothing is read without end.
"""

import json
import math
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from relive.errors import ReliveError
from relive.hub.web.medianames import INDEX, PICTURE
from relive.hub.web.views.artifacts import FileLine, Preview, list_files, look_into
from relive.hub.web.views.run import RunHead, get_head
from relive.hub.web.words import clip, number
from relive.services.context import Services

MOST_NAMES: Final = 12
_MOST_ITEMS = 24
_MOST_INDEX_BYTES = 8 << 20
_MOST_BARS = 128
_WIDTH, _HEIGHT = 300, 90


class Bar(msgspec.Struct, frozen=True):
    """One bar of a histogram, in pixels."""

    x: float
    y: float
    width: float
    height: float
    title: str


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be looked at.

    Attributes:
        path: Of its file among the run's, empty if it has none.
        look: What the file holds, for tables and texts.
        bars: Of a histogram.
        note: What was left out, or why there is nothing to see.
    """

    kind: str
    caption: str
    path: str
    look: Preview | None = None
    bars: tuple[Bar, ...] = ()
    note: str = ""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """What was logged under one name, at the step that is looked at; `more` counts what is not shown of it.

    Attributes:
        earlier: The step before, None if there is none.
        later: The step behind.
        place: Number of this step, from 1.
    """

    name: str
    step: int
    earlier: int | None
    later: int | None
    place: int
    steps: int
    items: tuple[Item, ...]
    more: int


class MediaTab(msgspec.Struct, frozen=True, kw_only=True):
    """The tab; `step` is the last one to be looked at, None for the newest."""

    head: RunHead
    series: tuple[Series, ...]
    total: int
    find: str
    first: int
    step: int | None


class _Entry(msgspec.Struct, frozen=True):
    """A line of the index; unknown fields are of a later version."""

    name: str
    step: int
    kind: str
    at: float = 0.0
    n: int = 0
    caption: str = ""
    file: str = ""
    counts: list[float] = []
    edges: list[float] = []
    left_out: int = 0


def get_media(
    services: Services, run_id: str, *, find: str = "", first: int = 0, step: int | None = None
) -> MediaTab:
    """Give twelve of the run's names, each at one step.

    Raises:
        NotFound: There is no such run.
    """
    head = get_head(services, run_id)
    files = {line.path: line for line in list_files(services, head.id)}
    by_name: dict[str, dict[int, list[_Entry]]] = {}
    for entry in _entries(services, files):
        by_name.setdefault(entry.name, {}).setdefault(entry.step, []).append(entry)
    names = sorted(name for name in by_name if find.lower() in name.lower())
    shown = names[first : first + MOST_NAMES]
    return MediaTab(
        head=head,
        series=tuple(_series(services, head.id, name, by_name[name], files, step) for name in shown),
        total=len(names),
        find=find,
        first=first,
        step=step,
    )


def _entries(services: Services, files: dict[str, FileLine]) -> Iterator[_Entry]:
    left = _MOST_INDEX_BYTES
    for path, line in files.items():
        if INDEX.match(path):
            data = b"".join(services.blobs.iter_chunks(line.digest, 0, min(left, line.size_bytes)))
            left -= len(data)
            yield from _read_index(data, posixpath.dirname(path))
        elif found := PICTURE.fullmatch(path):
            at = int(found["at"]) / 1000
            # In a name "#" stands for "/".
            yield _Entry(found["key"].replace("#", "/"), int(found["step"]), "image", at, file=path)


def _read_index(data: bytes, folder: str) -> Iterator[_Entry]:
    for line in data.splitlines():
        try:
            # Python's reader knows NaN, which a histogram of an odd tensor may hold.
            entry = msgspec.convert(json.loads(line), _Entry, strict=False)
        except (ValueError, msgspec.ValidationError, RecursionError):
            continue
        path = posixpath.join(folder, posixpath.basename(entry.file)) if entry.file else ""
        yield msgspec.structs.replace(entry, file=path)


def _series(
    services: Services,
    run_id: str,
    name: str,
    by_step: dict[int, list[_Entry]],
    files: dict[str, FileLine],
    step: int | None,
) -> Series:
    steps = sorted(by_step)
    place = max((i for i, it in enumerate(steps) if step is None or it <= step), default=0)
    entries = sorted(by_step[steps[place]], key=lambda entry: (entry.at, entry.n))
    return Series(
        name=name,
        step=steps[place],
        earlier=steps[place - 1] if place else None,
        later=steps[place + 1] if place + 1 < len(steps) else None,
        place=place + 1,
        steps=len(steps),
        items=tuple(_item(services, run_id, entry, files) for entry in entries[:_MOST_ITEMS]),
        more=max(0, len(entries) - _MOST_ITEMS),
    )


def _item(services: Services, run_id: str, entry: _Entry, files: dict[str, FileLine]) -> Item:
    caption = clip(entry.caption, 300)
    left_out = f"{entry.left_out} left out when it was logged." if entry.left_out > 0 else ""
    if entry.kind == "histogram":
        return Item(kind="histogram", caption=caption, path="", bars=_bars(entry), note=left_out)
    line = files.get(entry.file)
    if line is None:
        return Item(kind="none", caption=caption, path="", note="Its file has not arrived.")
    if entry.kind in ("image", "audio") or entry.file.endswith(".png"):
        kind = "audio" if entry.kind == "audio" else "image"
        return Item(kind=kind, caption=caption, path=entry.file, note=left_out)
    if entry.kind in ("table", "text"):
        try:
            look = look_into(services, run_id, line, rows=50, lines=60)
        except ReliveError as error:
            return Item(kind="none", caption=caption, path=entry.file, note=error.what())
        return Item(kind=look.kind, caption=caption, path=entry.file, look=look, note=left_out or look.note)
    return Item(kind="file", caption=caption, path=entry.file, note=left_out)


def _bars(entry: _Entry) -> tuple[Bar, ...]:
    counts, edges = entry.counts[:_MOST_BARS], entry.edges[: _MOST_BARS + 1]
    if len(edges) != len(counts) + 1 or not all(map(_is_sound, [*counts, *edges])):
        return ()
    low, span, most = edges[0], edges[-1] - edges[0], max(counts, default=0.0)
    if not (span > 0 and most > 0 and math.isfinite(span)):
        return ()
    return tuple(_bar(count, start, end, low, span, most) for count, start, end in _pieces(counts, edges))


def _pieces(counts: Sequence[float], edges: Sequence[float]) -> Iterable[tuple[float, float, float]]:
    return zip(counts, edges[:-1], edges[1:], strict=True)


def _bar(*facts: float) -> Bar:
    count, start, end, low, span, most = facts
    height = _HEIGHT * (max(0.0, count) / most)
    return Bar(
        round(_WIDTH * ((start - low) / span), 2),
        round(_HEIGHT - height, 2),
        round(max(0.5, _WIDTH * ((end - start) / span) - 0.5), 2),
        round(height, 2),
        f"{number(start)} to {number(end)}: {number(count)}",
    )


def _is_sound(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
