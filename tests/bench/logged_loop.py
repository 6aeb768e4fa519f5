"""A training loop that only logs, in a process of its own; prints what a call took and what all cost.

`python -m tests.bench.logged_loop WAY STEPS SCALARS`, where WAY is a function below. The CPU is that of the
process from the opened run to the end of `finish`, with every thread; a hub's is counted by who starts this.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Log = Callable[[dict[str, float], int], Any]
Finish = Callable[[], Any]


def append() -> tuple[Log, Finish]:
    """The floor: keep it in a list, where kill -9 takes it."""
    kept: list[Any] = []
    return lambda values, step: kept.append((time.time(), step, values)), lambda: None


def relive() -> tuple[Log, Finish]:
    """Our client, durable in the hub when `finish` returns."""
    from relive.client.run import finish, init

    run = init(project="bench", system_metrics_s=0, console=False)
    run.log({"first": 0.0}, 0)
    return run.log, finish


def wandb() -> tuple[Log, Finish]:
    """Weights & Biases, offline: nothing leaves the machine."""
    import wandb  # type: ignore[import-not-found, unused-ignore]

    run = wandb.init(mode="offline", settings=wandb.Settings(silent=True, console="off"))
    return lambda values, step: run.log(values, step=step), run.finish


def trackio() -> tuple[Log, Finish]:
    """trackio, which writes SQLite on this machine."""
    import trackio  # type: ignore[import-not-found, unused-ignore]

    trackio.init(project="bench")
    return lambda values, step: trackio.log(values, step=step), trackio.finish


def mlflow() -> tuple[Log, Finish]:
    """MLflow's own client with its asynchronous logging, buffered for a second: its quickest way."""
    import os

    os.environ["MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS"] = "1"
    import mlflow

    mlflow.start_run()

    def finish() -> None:
        mlflow.flush_async_logging()
        mlflow.end_run()

    return lambda values, step: mlflow.log_metrics(values, step=step, synchronous=False), finish


def main() -> None:
    """Log, and print the figures as JSON."""
    way, steps, scalars = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    log, finish = globals()[way]()
    clock = time.perf_counter_ns
    took = [0] * steps
    cpu, wall = time.process_time(), time.perf_counter()
    for step in range(steps):
        values = {f"m{i}": step * 0.1 + i for i in range(scalars)}
        before = clock()
        log(values, step)
        took[step] = clock() - before
    loop = time.perf_counter() - wall
    finish()
    took.sort()
    print(
        json.dumps(
            {
                "call µs": took[steps // 2] / 1000,
                "p99 µs": took[steps * 99 // 100] / 1000,
                "loop s": loop,
                "cpu_s": time.process_time() - cpu,
            }
        )
    )


if __name__ == "__main__":
    main()
