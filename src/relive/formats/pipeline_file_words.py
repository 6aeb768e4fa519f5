"""The single values of a relive.yaml: sizes, durations, names, paths, params, variables, resources."""

from typing import Any, Final

from relive.core.pipeline import ParamsRef
from relive.formats.pipeline_file_kinds import Key, Kind, Others, Table, number, one_or_many, text, written

STAGE_NAME: Final = "^[a-z][a-z0-9_-]{0,62}$"
WORD: Final = "^[A-Za-z_][A-Za-z0-9_-]{0,62}$"
PATH: Final = r"^[^/\\\u0000-\u001f][^\\\u0000-\u001f]*$"
_NAME: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_VARIABLE: Final = "^(?!RELIVE_)[A-Za-z_][A-Za-z0-9_]{0,254}$"
_PARAMS: Final = r"^(?!/)[^:\\]+\.(yaml|yml|json|toml|py)(:[^,:\s]+(,[^,:\s]+)*)?$"
_POSITIVE: Final = "(?=[^1-9]*[1-9])"

_SIZES: Final = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _size_bytes(value: str) -> int:
    return int(float(value[:-3]) * _SIZES[value[-3:]])


def _duration_s(value: str) -> float:
    unit = value.lstrip("0123456789.")
    return float(value.removesuffix(unit)) * _SECONDS[unit]


def _params_ref(value: str) -> ParamsRef:
    file, _, keys = value.partition(":")
    return ParamsRef(file=file, keys=tuple(keys.split(",")) if keys else ())


def name(what: str) -> Kind:
    """A name of something on the hub."""
    return text(f"{what}: letters, digits, '.', '_' and '-', at most 63", _NAME)


word: Final = text("text")
path: Final = text("a path relative to the repository, with `/` between folders", PATH)
paths: Final = one_or_many(path, "a path or a list of paths")
alias: Final = text(
    "an alias: letters, digits, '.', '_' and '-', at most 63, and no number such as 3 or v3",
    "^(?!v?[0-9]+$)" + _NAME.removeprefix("^"),
)
stage_name: Final = text("the name of a stage", STAGE_NAME)
python_version: Final = text('a Python version such as "3.11"', r"^[0-9]+(\.[0-9]+){0,2}$")
loader: Final = text("module:function of the repository", r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")
pattern: Final = text("a pattern such as main, release/* or src/**, not beginning with `!`", r"^[^!]")
patterns: Final = one_or_many(pattern, "a pattern or a list of patterns")
size: Final = text(
    "a size such as 512MiB or 4GiB (KiB, MiB, GiB, TiB)",
    rf"^{_POSITIVE}[0-9]{{1,12}}(\.[0-9]{{1,12}})?(KiB|MiB|GiB|TiB)$",
    _size_bytes,
)
duration: Final = text(
    "a duration such as 90s or 2h (ms, s, m, h, d)",
    rf"^{_POSITIVE}[0-9]{{1,9}}(\.[0-9]{{1,9}})?(ms|s|m|h|d)$",
    _duration_s,
)
params: Final = one_or_many(
    text("FILE or FILE:KEY,KEY with a .yaml, .json, .toml or .py file", _PARAMS, _params_ref),
    "FILE:KEY or a list of them",
)

VARIABLES: Final = Table(
    others=Others(
        _VARIABLE, "a variable's name: letters, digits and '_', not beginning with RELIVE_", written()
    )
)
variables: Final = VARIABLES.kind("environment variables such as {OMP_NUM_THREADS: 1}")

RESOURCES: Final = Table(
    {
        "cpu": Key(number("a number of cores, more than 0", above=0), "Processor cores; 0.5 is half of one."),
        "memory": Key(size, "Memory; a command that uses more is ended."),
        "gpu": Key(number("a number of GPUs, 0 or more", least=0), "GPUs."),
        "gpu_type": Key(word, "The GPU's name as the pool knows it."),
        "disk": Key(size, "Disk space for outs; larger ones are refused before they are stored."),
        "pool": Key(name("the name of a pool"), "The pool that runs it; `local` without it."),
    }
)
resources: Final = RESOURCES.kind("resources such as {cpu: 2, memory: 4GiB}")

_WITH_UNIT: Final = {"memory": "memory_bytes", "disk": "disk_bytes"}


def resource_fields(values: dict[str, Any]) -> dict[str, Any]:
    """Give the fields of `Resources` for the keys that were read."""
    return {_WITH_UNIT.get(key, key): value for key, value in values.items()}
