"""relive: push code, get a model that is trained, tested, gated, served and watched, and can be made again.

The face for scripts. Names are imported on first use, so that `import relive` costs a training script almost
nothing; inside relive the defining modules are imported instead.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relive.client.dataset import dataset
    from relive.client.hub import HubClient as Client
    from relive.client.hub import connect
    from relive.client.run import (
        Audio,
        File,
        Histogram,
        Image,
        Plot,
        Run,
        Table,
        Text,
        config,
        finish,
        init,
        log,
        log_artifact,
        step,
        summary,
        use_dataset,
    )

__version__ = "0.1.0"

__all__ = [
    "Audio",
    "Client",
    "File",
    "Histogram",
    "Image",
    "Plot",
    "Run",
    "Table",
    "Text",
    "__version__",
    "config",
    "connect",
    "dataset",
    "finish",
    "init",
    "log",
    "log_artifact",
    "step",
    "summary",
    "use_dataset",
]

_HOMES = {
    "Client": ("relive.client.hub", "HubClient"),
    "connect": ("relive.client.hub", "connect"),
    "dataset": ("relive.client.dataset", "dataset"),
    **{
        name: ("relive.client.run", name)
        for name in __all__
        if name not in {"Client", "__version__", "connect", "dataset"}
    },
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module, attribute = _HOMES[name]
        value = getattr(import_module(module), attribute)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'relive' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
