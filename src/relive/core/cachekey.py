"""What the result of a stage depends on, by name: the facts of its cache key.

The key itself is the digest of these facts (`formats.cachekey`). They are kept beside it, so that one can say
why a stage ran again: "param train.lr: 0.1 → 0.2".

Timeouts, retries, the branch and resources are not among them, because they do not change what comes out;
of the resources only the threads do.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from relive.core.pipeline import Hermetic, StageSpec

# A longer value is kept as its digest; facts lie in every stage's row.
_LONGEST: Final = 200

# In the order in which people ask.
_KINDS: Final = {
    "command": "command",
    "workdir": "working folder",
    "environment": "environment",
    "threads": "threads",
    "image": "image",
    "hermetic": "hermetic",
    "param": "param",
    "env": "variable",
    "secret": "secret",
    "dep": "dep",
    "out": "out",
    "metrics": "metrics file",
    "plot": "plot",
    "report": "report",
}


def cache_facts(
    spec: StageSpec, *, params: Mapping[str, Any], environment: str, deps: Mapping[str, str]
) -> dict[str, str]:
    """Give everything that a stage's result depends on.

    Args:
        spec: The stage after expansion.
        params: Values of its declared params, flattened names.
        environment: Digest of the environment lock; empty for the interpreter that is found.
        deps: Path of each input → digest of its manifest.

    Returns:
        Kind and name → value, such as "param train.lr" → "0.1"; long values as a digest.
    """
    facts = {"command": _kept(json.dumps(spec.cmd, ensure_ascii=False)), "environment": environment}
    # The runner sizes every thread pool by it, and the size of a team changes bits.
    threads = max(1, math.floor(spec.resources.cpu))
    if threads > 1:
        facts["threads"] = str(threads)
    if spec.wdir != ".":
        facts["workdir"] = spec.wdir
    # What was made without walls does not stand for what is to be made within.
    if spec.hermetic is Hermetic.ON:
        facts["hermetic"] = "with network" if spec.network else "true"
    if spec.image:
        facts["image"] = spec.image
    facts |= {f"env {name}": _kept(value) for name, value in spec.env.items()}
    facts |= {f"secret {name}": "" for name in spec.secrets}
    facts |= {f"param {name}": _kept(_json(value)) for name, value in params.items()}
    facts |= {f"dep {path}": digest for path, digest in deps.items()}
    facts |= {f"out {path}": "" for path in spec.outs}
    # A run that was made before these were declared does not have them.
    facts |= {f"metrics {path}": "" for path in spec.metrics}
    facts |= {f"plot {path}": "" for path in spec.plots}
    if spec.junit:
        facts[f"report {spec.junit}"] = ""
    return facts


def explain(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say what differs between two stages' facts, one sentence each; empty if nothing does."""
    differing = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [_sentence(key, before.get(key), now.get(key)) for key in sorted(differing, key=_place)]


def _sentence(key: str, before: str | None, now: str | None) -> str:
    kind, _, name = key.partition(" ")
    subject = " ".join(part for part in (_KINDS.get(kind, kind), name) if part)
    if before is None:
        return f"{subject} is new"
    if now is None:
        return f"{subject} is no longer there"
    if kind in ("param", "env") and not _is_digest(before) and not _is_digest(now):
        return f"{subject}: {before} → {now}"
    return f"{subject} changed"


def _place(key: str) -> tuple[int, str]:
    kind = key.partition(" ")[0]
    kinds = list(_KINDS)
    return (kinds.index(kind) if kind in _KINDS else len(kinds), key)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _kept(text: str) -> str:
    if len(text) <= _LONGEST and not _is_digest(text):
        return text
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _is_digest(text: str) -> bool:
    return text.startswith("sha256:") and len(text) == 71
