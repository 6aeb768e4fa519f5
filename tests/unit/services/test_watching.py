"""What the person who pushed reads while a pipeline runs."""

from relive.services import jobs
from relive.services.watching import Watch
from relive.wire.jobs import Progress
from tests.support.bench import Bench

FILES = {
    "relive.yaml": "version: 1\nstages:\n  train: {cmd: python train.py, deps: [train.py]}\n",
    "train.py": "1",
}


def test_each_thing_that_a_stage_does_is_said_once(bench: Bench) -> None:
    pipeline = bench.start(FILES)
    watch = Watch(bench.services, pipeline.id)
    list(watch.look())
    stage = bench.stages(pipeline)["train"]
    said = []
    for phase, message in (
        ("data", "getting its data"),
        ("environment", "making its environment"),
        ("command", "python train.py\nand more"),
    ):
        fence = bench.services.store.get_job(stage.job_id).fence
        jobs.progress(bench.services, stage.job_id, Progress(fence=fence, phase=phase, message=message))
        for _ in range(2):
            said += [line.split(maxsplit=2) for line in watch.look()]
    assert said == [
        ["●", "train", "getting its data"],
        ["●", "train", "making its environment"],
        ["●", "train", "python train.py"],
    ]
