"""The pages of data sets for evaluation and scorers."""

import json

import pytest

from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.errors import InvalidInput, NotFound
from relive.hub.web.views import evaluation as views
from relive.services.context import Services
from tests.support.bench import Bench
from tests.support.seed_evaluation import QUESTIONS
from tests.support.site import Site


def test_a_project_lists_its_data_sets_and_scorers(services: Services) -> None:
    page = views.list_datasets(services, "digits")
    assert [(it.name, it.records, it.fields) for it in page.datasets] == [
        ("draft", 0, ()),
        ("questions about digits", 120, ("question", "digit")),
    ]
    (experiment,) = page.datasets[1].experiments
    assert (experiment.name, experiment.project) == ("assistant", "digits")
    assert (page.next, page.is_first) == ("", True)
    assert [(it.name, it.version, it.kind) for it in page.scorers] == [
        ("exact", 1, "built-in"),
        ("polite", 2, "judge"),
    ]
    empty = views.list_datasets(services, "ideas")
    assert (empty.datasets, empty.scorers) == ((), ())
    with pytest.raises(InvalidInput, match="page token"):
        views.list_datasets(services, "digits", after="x")


def test_a_data_set_shows_its_records_in_pages(services: Services) -> None:
    first = views.get_dataset(services, "digits", QUESTIONS)
    assert [record.number for record in first.records] == list(range(1, 51))
    assert first.next == 50
    assert first.schema[0] == ("inputs", (("question", "string"), ("digit", "integer")))
    one = first.records[0]
    assert one.inputs == (("question", "Which digit is picture 0?"), ("digit", "0"))
    assert (one.outputs, one.source, one.trace_id) == (
        (("", "A seven, I think."),),
        "trace",
        "tr-" + "1" * 32,
    )
    last = views.get_dataset(services, "digits", QUESTIONS, after=100)
    assert ([record.number for record in last.records], last.next) == (list(range(101, 121)), 0)
    with pytest.raises(NotFound):
        views.get_dataset(services, "ideas", QUESTIONS)


def test_what_clients_keep_is_shown_as_text(bench: Bench) -> None:
    store = bench.services.store
    dataset = EvaluationDataset(id="d-odd", project_id=bench.project.id, name="<b>", digest="0")
    tags = {"mlflow.user": "ann", "a": "1"}
    store.create_evaluation_dataset(dataset, tags=tags, experiment_ids=[])
    inputs = {"\ud800": "x" * 999, "l": [1, None]}
    record = EvaluationRecord(
        id="dr-1", dataset_id="d-odd", input_digest="i", inputs=json.dumps(inputs), tags=json.dumps(tags)
    )
    store.keep_evaluation_records([record])
    page = views.get_dataset(bench.services, bench.project.name, "d-odd")
    (shown,) = page.records
    assert shown.inputs[0] == ("?", "x" * 299 + "…")
    assert shown.inputs[1] == ("l", "[1, null]")
    assert (shown.tags, page.line.tags) == ((("a", "1"),), (("a", "1"),))
    assert (shown.outputs, shown.expectations, shown.source) == ((), (), "")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/p/digits/evaluation", 200),
        (f"/p/digits/evaluation/{QUESTIONS}?after=100", 200),
        (f"/p/digits/evaluation/{QUESTIONS}?after=x", 400),
        ("/p/digits/evaluation?after=x", 400),
        ("/p/digits/evaluation/none", 404),
        ("/p/none/evaluation", 404),
    ],
)
def test_each_page_answers(site: Site, path: str, status: int) -> None:
    assert site.get(path).status == status
