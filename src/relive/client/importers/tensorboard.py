"""TensorBoard's folders: each that holds event files is a run, named by its path."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from relive.capture.hooks.media import ARTIFACT, Audio, Histogram, Image, Media, MediaFolder, Text
from relive.client.importers.foreign import ForeignRun
from relive.core.run import Metric
from relive.errors import NotFound
from relive.formats.tfevents import EventValue, read_events

_EVENTS: Final = "*tfevents*"


class TensorboardFolder:
    """The runs below a folder of logs.

    Args:
        folder: It, or folders in it, hold event files.

    Raises:
        NotFound: None does.
    """

    def __init__(self, folder: Path) -> None:
        self.name = "tensorboard"
        self._root = folder
        self._folders = sorted({path.parent for path in folder.rglob(_EVENTS) if path.is_file()})
        if not self._folders:
            raise NotFound(
                kind="event file", name=str(folder), hint="name the folder that `tensorboard --logdir` gets"
            )

    def runs(self) -> Iterator[ForeignRun]:
        """Give a run for each folder."""
        for folder in self._folders:
            name = folder.relative_to(self._root).as_posix()
            name = folder.absolute().name if name == "." else name
            facts = _Facts(folder)
            yield ForeignRun(
                key=f"{self._root.absolute().name}/{name}",
                name=name,
                started_at=facts.first_at,
                ended_at=facts.last_at,
                params=facts.params,
                metrics=partial(_metrics, folder),
                lay_files=partial(_lay_files, folder) if facts.has_media else lambda target: None,
            )


class _Facts:
    """What has to be known of a folder before its points are sent."""

    def __init__(self, folder: Path) -> None:
        self.params: dict[str, Any] = {}
        self.has_media = False
        times: list[float] = []
        for value in _values(folder):
            times = [min([value.at, *times]), max([value.at, *times])]
            if value.kind == "hparams":
                self.params |= value.value
            self.has_media = self.has_media or value.kind not in ("scalar", "hparams")
        self.first_at = times[0] if times else None
        self.last_at = times[-1] if times else None


def _values(folder: Path) -> Iterator[EventValue]:
    # Their names begin with when they were begun.
    for path in sorted(path for path in folder.glob(_EVENTS) if path.is_file()):
        yield from read_events(path)


def _metrics(folder: Path) -> Iterator[Metric]:
    for value in _values(folder):
        if value.kind == "scalar":
            yield Metric(value.tag[:250] or "scalar", value.value, value.step, value.at)


def _lay_files(folder: Path, target: Path) -> None:
    media = MediaFolder(str(target))
    for value in _values(folder):
        shown = _as_media(value)
        if shown is not None:
            media.add(value.tag or value.kind, value.step, [shown], at=value.at)
    # As a run of our own client names it.
    (target / "media").rename(target / ARTIFACT)


def _as_media(value: EventValue) -> Media | None:
    if value.kind == "text":
        return Text(value.value)
    if value.kind == "image":
        return Image(value.value)
    if value.kind == "histogram":
        return Histogram(np_histogram=value.value)
    return Audio(value.value) if value.kind == "audio" else None
