"""Trainings of gensim: two equal ones record equal steps, a changed input is named."""

import importlib.util

import pytest

from relive.core.compare import compare
from relive.core.trajectory import FirstDivergence, Trajectory

if importlib.util.find_spec("gensim") is None:
    pytest.skip("gensim is not installed", allow_module_level=True)

TRAIN = """
import random
from gensim.models import Doc2Vec, FastText, Word2Vec
from gensim.models.doc2vec import TaggedDocument
random.seed({text})
text = [[f"w{{random.randrange(30)}}" for _ in range(8)] for _ in range(60)]
settings = dict(vector_size=8, min_count=1, workers=1, epochs={epochs}, seed={seed})
if {kind!r} == "Doc2Vec":
    model = Doc2Vec([TaggedDocument(words, [at]) for at, words in enumerate(text)], **settings)
else:
    model = {{"Word2Vec": Word2Vec, "FastText": FastText}}[{kind!r}](text, **settings)
model.save("model")
"""


def trajectory_of(done) -> Trajectory:
    assert done.returncode == 0, done.stderr
    assert done.spool.notes == ()
    found: Trajectory = done.spool.trajectory()
    return found


def script(**changes: object) -> str:
    return TRAIN.format(**{"kind": "Word2Vec", "text": 1, "seed": 3, "epochs": 2, **changes})


@pytest.mark.parametrize(
    ("kind", "vectors"),
    [("Word2Vec", "wv.vectors"), ("FastText", "wv.vectors_ngrams"), ("Doc2Vec", "dv.vectors")],
)
def test_what_a_training_begins_and_ends_with_is_recorded(record_once, kind, vectors):
    done = record_once(script(kind=kind))
    first, last = trajectory_of(done).steps
    assert (first.stream, first.step) == (f"weights:{kind}#0", 0)
    assert (last.stream, last.step) == (f"weights:{kind}#0 final", 2)
    assert first.digests[vectors] != last.digests[vectors]


def test_two_equal_trainings_record_equal_steps(record, record_once):
    found = compare(trajectory_of(record_once(script())), trajectory_of(record(script())))
    assert (found.first_divergence, found.steps_compared) == (None, 2)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"text": 2}, "syn1neg"), ({"seed": 4}, "param seed"), ({"epochs": 3}, "param epochs")],
    ids=str,
)
def test_a_changed_input_is_named(record, record_once, change, name):
    one, other = trajectory_of(record_once(script())), trajectory_of(record(script(**change)))
    first = compare(one, other).first_divergence
    assert isinstance(first, FirstDivergence)
    assert name in first.names or "vocabulary" in first.names
    assert first.step == 0
