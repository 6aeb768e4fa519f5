"""What pages say where an earlier pipeline did the work, and where a branch fails beside a champion."""

from relive.core.pipeline import PipelineSpec, PipelineStatus, Select, StageSpec
from relive.core.run import FailureReason
from relive.hub.web.views import models, pipelines, projects
from tests.support.bench import Bench

FILE = """
version: 1
stages:
  train: {{cmd: python train.py, deps: [train.py], outs: [model/], metrics: [metrics.json]}}
  gate: {{needs: [train], gates: [{{metric: log_loss, max: {most}}}]}}
  register: {{needs: [train], register: {{model: digits, artifact: model/}}}}
"""


def pushed(bench: Bench, *, most: float) -> PipelineStatus:
    """Push one training whose log loss is 0.4, under a gate."""
    pipeline = bench.start({"relive.yaml": FILE.format(most=most), "train.py": "1"})
    train = bench.stages(pipeline)["train"]
    if not train.status.is_final:
        bench.finish(train, outs={"model/m": b"m"}, accuracy=0.9, curve=0.5, log_loss=0.4)
    return bench.again(pipeline).status


def test_a_version_of_a_cached_run_says_from_which_pipeline(bench: Bench) -> None:
    assert pushed(bench, most=0.1) is PipelineStatus.GATED
    assert pushed(bench, most=0.5) is PipelineStatus.SUCCEEDED
    first, second = (models.get_version(bench.services, "digits", ref) for ref in "12")
    assert (first.pipeline, first.run_pipeline) == (1, 0)
    assert (second.pipeline, second.run_pipeline) == (2, 1)


def test_the_log_of_what_was_cached_is_shown_to_who_asks_for_it(bench: Bench) -> None:
    pushed(bench, most=0.5)
    pushed(bench, most=0.1)
    services = bench.services
    ran = pipelines.get_pipeline(services, "digits", 1).log
    assert ran is not None
    assert ran.stage == "train"
    gated = pipelines.get_pipeline(services, "digits", 2)
    assert gated.log is None
    assert "log_loss 0.4 > 0.1" in gated.problem
    asked = pipelines.get_pipeline(services, "digits", 2, stage="train").log
    assert asked is not None
    assert asked.run_id == ran.run_id


def test_the_card_leads_with_the_metric_that_decided(bench: Bench) -> None:
    pushed(bench, most=0.5)
    (card,) = projects.list_projects(bench.services)
    assert card.champion is not None
    assert [key for key, _ in card.champion.metrics] == ["log_loss", "accuracy", "curve"]


def test_a_metric_that_a_select_decides_by_is_no_less_telling() -> None:
    pick = StageSpec(name="pick", select=Select(from_stage="train", metric="auc"))
    spec = PipelineSpec(stages=(StageSpec(name="train"), pick))
    assert projects.order_metrics({"acc": 1.0, "auc": 0.5}, spec) == (("auc", 0.5), ("acc", 1.0))


def test_a_branch_that_fails_does_not_mark_the_projects_card(bench: Bench) -> None:
    pushed(bench, most=0.5)
    tried = bench.start({"train.py": "2"}, branch="try")
    bench.fail(bench.stages(tried)["train"], FailureReason.FAILURE)
    assert bench.again(tried).status is PipelineStatus.FAILED
    (card,) = projects.list_projects(bench.services)
    assert card.pipeline is not None
    assert (card.pipeline.number, card.pipeline.branch, card.pipeline.mark.word) == (1, "main", "passed")
