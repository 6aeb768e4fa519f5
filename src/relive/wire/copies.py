"""Traces and data sets for evaluation with all that is theirs: what an export takes and an import brings.

GET  /api/v1/copies/traces?project=                   → TraceCopy, …    the newest first
POST /api/v1/copies/traces                BringTraces → Brought
GET  /api/v1/copies/evaluation?project=               → EvaluationCopy, …
POST /api/v1/copies/evaluation        BringEvaluation → Brought
GET  /api/v1/copies/evaluation/ID/records?after=      → EvaluationRecord, …
POST /api/v1/copies/evaluation/ID/records  BringRecords → (nothing)
"""

import msgspec

from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.trace import Assessment, Span, Trace


class TraceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a trace.

    Attributes:
        path: Below the trace's folder, such as `artifacts/attachments/ID`.
        digest: Of its bytes, which are in the blob store.
    """

    path: str
    digest: str
    size_bytes: int


class TraceCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A trace with all that is its.

    Attributes:
        experiment: The name of its experiment, which elsewhere has another id.
        said: Feedback, expectations and issues.
        runs: The runs that it is linked with, by id.
        prompts: The versions of prompts that it is linked with, each NAME/VERSION.
    """

    trace: Trace
    experiment: str
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    said: tuple[Assessment, ...] = ()
    spans: tuple[Span, ...] = ()
    runs: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    files: tuple[TraceFile, ...] = ()


class EvaluationCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A data set for evaluation without its records; `experiments` are the names of those that share it."""

    dataset: EvaluationDataset
    tags: dict[str, str] = {}
    experiments: tuple[str, ...] = ()


class BringTraces(msgspec.Struct, frozen=True):
    """Traces for a project. One whose spans are too many for a message comes again with the others."""

    project: str
    traces: tuple[TraceCopy, ...]


class BringEvaluation(msgspec.Struct, frozen=True):
    """A data set for a project."""

    project: str
    copy: EvaluationCopy


class BringRecords(msgspec.Struct, frozen=True):
    """Records for a data set, in their order."""

    records: tuple[EvaluationRecord, ...]


class Brought(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        new: How many were not here.
        here: How many were in the project already, and stay as they are.
        elsewhere: Those that are in another project of this hub, and stay there.
    """

    new: int = 0
    here: int = 0
    elsewhere: tuple[str, ...] = ()
