"""MLflow's calls as use cases: an MLflow run is a Run like any other.

Inside a stage or `relive run` a client finds the open run by MLFLOW_RUN_ID and its token; a terminal status
that it sets does not end a run whose process still works.
"""
