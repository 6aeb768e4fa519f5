"""One model version behind the Open Inference Protocol, and the router before them.

Two kinds of modules live here. Those in `AGENT_MODULES` run in the model's own environment, whatever
Python (from 3.9) and packages it has: they import the standard library, one another by relative imports,
and NumPy; `bundle.py` copies them into a folder that is put last on `sys.path`. The others (bundle,
supervise, probe, router and what it needs) run in relive's environment.
"""

AGENT_MODULES = (
    "__init__",
    "__main__",
    "app",
    "commands",
    "contract",
    "describe",
    "example",
    "faults",
    "flavors",
    "httpserver",
    "load",
    "main",
    "mlflow_folder",
    "oip",
    "predictor",
    "scoring",
    "signature",
    "tensors",
)
