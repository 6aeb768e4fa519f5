"""A script that names an experiment logs to its own run all the same; what else it starts is of that name."""

import pytest

pytest.importorskip("mlflow", reason="MLflow is not installed")

SCRIPT = """
import os
os.environ.update(MLFLOW_ALLOW_FILE_STORE="true", MLFLOW_DISABLE_TELEMETRY="true")
import mlflow
mlflow.set_tracking_uri("file://{folder}")
own = mlflow.MlflowClient().create_run("0").info.run_id
os.environ["MLFLOW_RUN_ID"] = own
os.environ["RELIVE_RUN_ID"] = {ours}
named = mlflow.set_experiment("cancer").experiment_id
try:
    with mlflow.start_run() as run:
        print(run.info.run_id == own, run.info.experiment_id)
except mlflow.exceptions.MlflowException as error:
    print("refused")
with mlflow.start_run() as other:
    print(other.info.run_id != own, other.info.experiment_id == named)
print(mlflow.start_run.__name__)
"""


@pytest.mark.parametrize(
    ("ours", "said"), [("own", "True 0"), ("'another run'", "refused")], ids=["ours", "not ours"]
)
def test_a_named_experiment_does_not_refuse_the_run_that_a_script_is(record, tmp_path, ours, said):
    kept = tmp_path / "kept"
    script = SCRIPT.format(folder=kept, ours=ours)
    done = record(script)
    assert done.returncode == 0, done.stderr
    assert done.spool.notes == ()
    assert done.stdout.splitlines() == [said, "True True", "start_run"]
