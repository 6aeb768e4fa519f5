"""A run's output in pieces: its end, a piece from a byte on, lines that hold a text, the first error."""

import re
from collections.abc import Iterator

import msgspec

from relive.core.run import Run
from relive.hub.web.views.run import RunHead, get_head
from relive.services.context import Services
from relive.services.runs import read_log

PIECE = 128 * 1024
_SHOWN = 64 * 1024
_MOST_HITS = 200
_LONGEST_LINE = 2000

_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
# Case counts: `ValueError: …` is one, a metric called val_error is none.
_ERROR = re.compile(
    rb"(?m)^(?:.*Traceback \(most recent call last\)"
    rb"|.*\b(?:[A-Z]\w*)?(?:Error|Exception)\b: "
    rb"|(?:ERROR|FAILED|FATAL|CRITICAL|error|fatal)\b[: ]"
    rb"|E   |Killed\b|.*\bSegmentation fault\b|.*\b[Oo]ut of memory\b).*$"
)


class Line(msgspec.Struct, frozen=True):
    """One line; `at` is the byte it begins at."""

    at: int
    text: str
    is_error: bool = False


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Part of a log.

    Attributes:
        start: The byte it begins at.
        next: The byte to go on from.
        done: Whether nothing will follow.
        status: The run's status now.
    """

    start: int
    next: int
    lines: tuple[Line, ...]
    done: bool
    status: str


class LogsTab(msgspec.Struct, frozen=True, kw_only=True):
    """The Logs tab.

    Attributes:
        hits: Lines that hold the searched text.
        error_at: Where the first error is, -1 for none.
    """

    head: RunHead
    piece: Piece
    length: int
    find: str
    hits: tuple[Line, ...]
    error_at: int


def get_logs(services: Services, run_id: str, *, start: int | None = None, find: str = "") -> LogsTab:
    """Give the tab: the end of the log, or what begins at a byte."""
    head = get_head(services, run_id)
    run = services.store.get_run(head.id)
    length = log_length(services, run)
    if start is None:
        start = max(0, length - _SHOWN)
        piece = read_piece(services, run, start, skip_part=start > 0)
    else:
        piece = read_piece(services, run, min(start, length))
    return LogsTab(
        head=head,
        piece=piece,
        length=length,
        find=find,
        hits=tuple(_search(services, run, find)) if find else (),
        error_at=_first_error(services, run),
    )


def read_piece(services: Services, run: Run, start: int, *, skip_part: bool = False) -> Piece:
    """Give whole lines from a byte on; a last line without its end only when nothing will follow.

    Args:
        services: The hub's.
        run: Whose log.
        start: The byte to begin at.
        skip_part: Leave out what precedes the first line break, because `start` may be inside a line.
    """
    data = _read(services, run, start, PIECE)
    final = run.status.is_final
    ended = len(data) < PIECE
    if skip_part:
        cut = data.find(b"\n") + 1
        data, start = data[cut:], start + cut
    end = len(data) if ended and final else data.rfind(b"\n") + 1
    # A line that fills the whole piece is cut: it must not stop what follows.
    end = end or (0 if ended else len(data))
    return Piece(
        start=start,
        next=start + end,
        lines=tuple(lines_of(data[:end], start)),
        done=final and ended,
        status=run.status.value,
    )


def lines_of(data: bytes, start: int) -> Iterator[Line]:
    """Give bytes as lines: without escapes, of a line that was written over only what stood there last."""
    at = start
    for raw in data.split(b"\n")[: None if data and not data.endswith(b"\n") else -1]:
        text = _ESCAPES.sub(b"", raw).rstrip(b"\r").rpartition(b"\r")[2]
        shown = _CONTROL.sub("", text.decode("utf-8", "replace"))
        if len(shown) > _LONGEST_LINE:
            shown = f"{shown[:_LONGEST_LINE]}… ({len(shown)} characters)"
        yield Line(at, shown, _ERROR.search(text) is not None)
        at += len(raw) + 1


def encode(piece: Piece) -> bytes:
    """Write a piece as JSON."""
    return msgspec.json.encode(piece)


def log_length(services: Services, run: Run) -> int:
    """Tell how long a log is now; a live one is measured by asking whether there is anything at a byte."""
    if run.log:
        return services.blobs.get(run.log).size_bytes
    low, high = 0, 1
    while services.store.read_log(run.id, start=high - 1, limit=1):
        low, high = high, high * 4
    while low < high:
        middle = (low + high) // 2
        if services.store.read_log(run.id, start=middle, limit=1):
            low = middle + 1
        else:
            high = middle
    return low


def _read(services: Services, run: Run, start: int, limit: int) -> bytes:
    if not run.log:
        return services.store.read_log(run.id, start=start, limit=limit)
    size = services.blobs.get(run.log).size_bytes
    return b"".join(services.blobs.iter_chunks(run.log, min(start, size), min(start + limit, size)))


def _search(services: Services, run: Run, find: str) -> Iterator[Line]:
    found, wanted = 0, find.lower()
    for line in _all_lines(services, run):
        if wanted in line.text.lower():
            yield line
            found += 1
            if found == _MOST_HITS:
                return


def _first_error(services: Services, run: Run) -> int:
    at, rest = 0, b""
    for data in read_log(services, run):
        block = rest + data
        hit = _ERROR.search(block)
        if hit is not None:
            return at + hit.start()
        # The beginning of a line may stand at the end of this block and its end in the next.
        keep = len(block) - (block.rfind(b"\n") + 1)
        rest = block[len(block) - keep :][-_LONGEST_LINE:]
        at += len(block) - len(rest)
    return -1


def _all_lines(services: Services, run: Run) -> Iterator[Line]:
    at, rest = 0, b""
    for data in read_log(services, run):
        block = rest + data
        end = block.rfind(b"\n") + 1
        yield from lines_of(block[:end], at)
        at, rest = at + end, block[end:]
    yield from lines_of(rest, at)
