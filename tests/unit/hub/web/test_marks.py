"""Every status has a mark that is told apart without colour."""

import pytest

from relive.core.endpoint import RevisionState
from relive.core.pipeline import PipelineStatus, StageStatus
from relive.core.run import RunStatus
from relive.core.trajectory import VerdictLevel
from relive.hub.web import marks

TONES = {"good", "bad", "warn", "busy", "quiet"}


@pytest.mark.parametrize(
    ("table", "statuses"),
    [
        (marks.STAGES, StageStatus),
        (marks.PIPELINES, PipelineStatus),
        (marks.RUNS, RunStatus),
        (marks.VERDICTS, VerdictLevel),
        (marks.REVISIONS, RevisionState),
    ],
)
def test_each_status_has_a_mark_of_its_own(table, statuses):
    assert set(table) == set(statuses)
    assert len({mark.word for mark in table.values()}) == len(table)
    assert len({mark.glyph for mark in table.values()}) == len(table)
    assert {mark.tone for mark in table.values()} <= TONES


def test_an_unknown_status_of_a_version_is_shown_as_it_is():
    assert marks.of_version("retired").word == "retired"
    assert marks.of_version("promoted").tone == "good"
