"""What `relive up` says and leaves once the hub answers."""

import gc
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relive.cli import up
from relive.hub.config import HubConfig


@pytest.fixture
def without_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RELIVE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("without_collection")
def test_garbage_is_looked_for_again_but_not_in_what_the_start_made(home: Path) -> None:
    up._announce(HubConfig(data_dir=home, port=7001))
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("without_collection")
def test_the_address_is_said_and_kept(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as at_end:
        up._keep(HubConfig(data_dir=home, port=7001), at_end, "rlv_1")
        up._announce(HubConfig(data_dir=home, port=7001))
        assert json.loads((home / "tokens.json").read_bytes())["tokens"] == {"http://127.0.0.1:7001": "rlv_1"}
        assert "7001" in (home / "hub.json").read_text()
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == "relive is up at http://127.0.0.1:7001   (log in: relive open)", (
        "and no escapes in a pipe"
    )
    assert last.startswith("Ctrl-C stops the hub")
