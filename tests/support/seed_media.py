"""A run of the story with everything that can be logged: media of two clients, its machine, a note."""

import io
import json
import math
import struct
import wave
from typing import Any

from relive.core.run import Metric, Run, RunKind, RunStatus
from relive.services.curating import NOTE
from tests.support.seed import Seeder, picture, projects

_NOTE = """# Cells under the microscope

First run with **augmentation**. What I saw:

- the loss falls, but slower than in [the paper](https://example.org/paper)
- `val/accuracy` is noisy above 0.9

| change | accuracy |
|:--|--:|
| none | 0.91 |
| flips | 0.94 |
"""


def tell_media(seeder: Seeder, now: float) -> Run:
    """One run of a project of its own."""
    project = projects.ensure(seeder.services, "vision", by="dora")
    seeder.clock.at = now - 1.3 * 86400
    run = seeder.run(
        project,
        "cells #1",
        RunStatus.FINISHED,
        kind=RunKind.CLIENT,
        actor="dora",
        took=600,
        command="train.py",
    )
    store = seeder.services.store
    store.set_tags(run.id, {NOTE: _NOTE, "team": "imaging"})
    seeder.curves(run, 60, **{"train/loss": 0.2, "val/accuracy": 0.94})
    for key, size in (("cpu_utilization_percentage", 60.0), ("system_memory_usage_megabytes", 9000.0)):
        points = [
            Metric(f"system/{key}", size * (1 + math.sin(at / 5) / 4), at, run.created_at + 10 * at)
            for at in range(60)
        ]
        store.record_metrics(run.id, points)
    seeder.outs(run, media_files(run.created_at), "relive.media", "artifact")
    for step in (0, 5):
        path = f"images/attention#map+step+{step}+timestamp+{int(run.created_at * 1000)}+abc-{step}.png"
        seeder.outs(run, {path: picture(128, 96)}, path, "artifact")
    return run


def media_files(at: float) -> dict[str, bytes]:
    """Give the folder of media that our own clients write, with its index."""
    files: dict[str, bytes] = {}
    lines: list[dict[str, Any]] = []

    def add(name: str, step: int, kind: str, file: str = "", data: bytes = b"", **facts: Any) -> None:
        line = {"v": 1, "name": name, "step": step, "at": at + step, "kind": kind, "n": len(lines)}
        if file:
            files[f"relive.media/{file}"] = data
            facts |= {"file": file, "size_bytes": len(data)}
        lines.append({**line, "caption": facts.pop("caption", ""), **facts})

    for step in (0, 10, 20):
        for index in range(3):
            caption = f"sample {index}, predicted {(index + step) % 7}"
            add("samples", step, "image", f"samples-{step}-{index}.png", picture(), caption=caption)
    rows = {"columns": ["file", "label", "score"], "rows": [[f"{i}.png", i % 7, i / 9] for i in range(80)]}
    add("predictions", 20, "table", "predictions-20.json", json.dumps(rows).encode())
    counts = [math.exp(-((i - 15) ** 2) / 40) * 900 for i in range(32)]
    add("weights", 20, "histogram", counts=counts, edges=[i / 16 - 1 for i in range(33)], left_out=2)
    add("summary", 20, "text", "summary-20.txt", b"<b>7 layers</b>\n1,204 weights\n", caption="the model")
    add("beep", 20, "audio", "beep-20.wav", beep())
    text = "\n".join(json.dumps(line) for line in lines) + "\nnot json\n[1]\n"
    return files | {"relive.media/index-4711.jsonl": text.encode()}


def beep() -> bytes:
    """Make a tenth of a second of sound."""
    data = io.BytesIO()
    with wave.open(data, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i / 3))) for i in range(800)))
    return data.getvalue()
