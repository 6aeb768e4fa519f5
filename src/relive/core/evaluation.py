"""What programs that answer in words are judged by: data sets of questions, and scorers."""

import msgspec


class EvaluationDataset(msgspec.Struct, frozen=True, kw_only=True):
    """Questions with what is expected of an answer; experiments may share one.

    Attributes:
        id: "d-" and 32 hex digits, as MLflow's clients expect.
        digest: Changes with each change of the records.
        schema: Which fields the records have, JSON as text; empty before the first record.
        records: How many there are.
        author: Who made it, as the client says; `last_author` who changed it last. Both may be empty.
        created_by: Who may change it: whom the hub knows.
    """

    id: str
    project_id: str
    name: str
    digest: str
    schema: str = ""
    records: int = 0
    author: str = ""
    last_author: str = ""
    created_by: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0


class EvaluationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One question. What clients say of it is JSON as text, kept as they said it; empty: they did not.

    Attributes:
        id: "dr-" and 32 hex digits.
        number: Its place in the data set, from 1; 0 until it is kept.
        input_digest: SHA-256 of the inputs as canonical text: a data set asks nothing twice.
        source: Where it comes from: a type and what belongs to it.
    """

    id: str
    dataset_id: str
    input_digest: str
    inputs: str
    number: int = 0
    outputs: str = ""
    expectations: str = ""
    tags: str = ""
    source: str = ""
    author: str = ""
    last_author: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0


class ScorerVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a scorer of an experiment; the hub keeps what it is made of and never runs it.

    Attributes:
        id: Of the scorer, all of whose versions have it.
        body: What clients make the scorer from, JSON as text.
        created_by: Who made the scorer, with its first version.
    """

    id: str
    experiment_id: str
    name: str
    version: int
    body: str
    created_by: str = ""
    created_at: float = 0.0
