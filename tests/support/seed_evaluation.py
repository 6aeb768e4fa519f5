"""Data sets for evaluation and scorers, as clients leave them."""

import hashlib
import json

from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.ports.stores import Store

QUESTIONS = "d-" + "1" * 32
_RECORDS = 120


def tell_evaluation(store: Store, experiment_id: str, *, now: float) -> None:
    """Keep a data set of some pages, one without records, and two scorers."""
    project_id = store.get_experiment(experiment_id).project_id
    fields = {"inputs": {"question": "string", "digit": "integer"}, "expectations": {"answer": "string"}}
    questions = EvaluationDataset(
        id=QUESTIONS,
        project_id=project_id,
        name="questions about digits",
        digest="4b7ad2e1",
        schema=json.dumps(fields),
        records=_RECORDS,
        author="ada",
        created_at=now - 9000,
        updated_at=now - 600,
    )
    tags = {"team": "digits", "language": "en"}
    store.create_evaluation_dataset(questions, tags=tags, experiment_ids=[experiment_id])
    store.keep_evaluation_records([_record(number, now) for number in range(_RECORDS)])
    empty = EvaluationDataset(id="d-2", project_id=project_id, name="draft", digest="0", created_at=now - 60)
    store.create_evaluation_dataset(empty, tags={}, experiment_ids=[])
    judge = json.dumps({"instructions_judge_pydantic_data": {"model": "openai:/gpt"}})
    for name, body in (("polite", judge), ("polite", judge), ("exact", '{"builtin_scorer_class": "Exact"}')):
        store.create_scorer_version(experiment_id, name, body, created_by="ada")


def _record(number: int, now: float) -> EvaluationRecord:
    inputs = json.dumps({"question": f"Which digit is picture {number}?", "digit": number % 10})
    is_traced = number % 3 == 0
    data = {"trace_id": "tr-" + "1" * 32} if is_traced else {}
    return EvaluationRecord(
        id=f"dr-{number}",
        dataset_id=QUESTIONS,
        input_digest=hashlib.sha256(inputs.encode()).hexdigest(),
        inputs=inputs,
        outputs='"A seven, I think."' if is_traced else "{}",
        expectations=json.dumps({"answer": f"It is {number % 10}."}),
        tags='{"level": "easy"}' if number % 2 else "",
        source=json.dumps({"source_type": "TRACE" if is_traced else "HUMAN", "source_data": data}),
        author="ada",
        created_at=now - 9000,
        updated_at=now - 600 - number,
    )
