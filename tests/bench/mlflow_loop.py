"""Logs by MLflow's own client, one call after the other: each line read is how often; prints what it took.

Run by `bench_client` with a Python that has MLflow's client: `mlflow_loop.py ADDRESS`.
"""

import json
import statistics
import sys
import time

from mlflow import MlflowClient


def main() -> None:
    """Log to a run of its own until the input ends."""
    client = MlflowClient(sys.argv[1])
    run_id = client.create_run("0").info.run_id
    step = 0
    for line in sys.stdin:
        took, cpu = [], time.process_time()
        for _ in range(int(line)):
            start = time.perf_counter()
            client.log_metric(run_id, "loss", 0.5, step=step, synchronous=True)
            took.append(time.perf_counter() - start)
            step += 1
        said = {"p50 ms": statistics.median(took) * 1e3, "client_s": time.process_time() - cpu}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
