"""A data folder has one hub, unless the database is made to be shared."""

import logging
import os
from pathlib import Path

import pytest

from relive.errors import Conflict
from relive.hub.claim import claimed
from relive.hub.config import HubConfig

POSTGRES = "postgresql://relive@db/relive"


def test_a_second_hub_is_told_who_serves_the_folder(tmp_path: Path) -> None:
    with claimed(HubConfig(data_dir=tmp_path, port=7001)):
        with pytest.raises(Conflict) as refused, claimed(HubConfig(data_dir=tmp_path, port=7002)):
            pass
        assert f"served by pid {os.getpid()} at http://127.0.0.1:7001" in str(refused.value)
        assert str(tmp_path) in str(refused.value)
    with claimed(HubConfig(data_dir=tmp_path, port=7002)):
        pass  # the first has ended


def test_hubs_on_one_postgresql_share_it_and_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second, third = (
        HubConfig(data_dir=tmp_path, port=port, db=POSTGRES) for port in (7001, 7002, 7003)
    )
    with caplog.at_level(logging.WARNING), claimed(first):
        assert caplog.text == ""
        with claimed(second), claimed(third):
            assert "served by pid" in caplog.messages[0]
            assert "http://127.0.0.1:7001" in caplog.messages[0]


@pytest.mark.parametrize(("first", "second"), [("", POSTGRES), (POSTGRES, "")])
def test_a_hub_on_sqlite_shares_with_none(tmp_path: Path, first: str, second: str) -> None:
    with claimed(HubConfig(data_dir=tmp_path, db=first)), pytest.raises(Conflict):  # noqa: SIM117
        with claimed(HubConfig(data_dir=tmp_path, db=second)):
            pass
