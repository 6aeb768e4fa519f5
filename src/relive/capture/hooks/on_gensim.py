"""Record trainings of gensim: settings and weights that Word2Vec, Doc2Vec and FastText begin and end with.

The file of a model holds the time it was made at, so its bytes are never the same twice. Its vectors are,
with one worker: several take the sentences in an order that changes.
"""

from __future__ import annotations

import functools
from typing import Any

from .on_sklearn import is_number, put
from .recorder import Recorder

_SETTINGS = (
    *("alpha", "cbow_mean", "dbow_words", "dm", "epochs", "hs", "max_final_vocab", "min_alpha", "min_count"),
    *("negative", "ns_exponent", "sample", "seed", "sg", "vector_size", "window", "workers"),
)
_HIDDEN = ("syn1", "syn1neg")
_VECTORS = ("vectors", "vectors_vocab", "vectors_ngrams")


def watch_vectors(module: Any, recorder: Recorder) -> None:
    """Make `Word2Vec.train` record itself; Doc2Vec and FastText train by it as well."""
    train = module.Word2Vec.train

    @functools.wraps(train)
    def recorded(model: Any, *args: Any, **keywords: Any) -> Any:
        stream = _begin(recorder, model) if recorder.records_steps else ""
        result = train(model, *args, **keywords)
        if stream:
            _end(recorder, f"{stream} final", model)
        return result

    module.Word2Vec.train = recorded


def _begin(recorder: Recorder, model: Any) -> str:
    """Record step 0, what the training begins with; give the stream's name, empty if that failed."""
    try:
        stream = recorder.name(f"weights:{type(model).__name__}")
        # The text itself may be a stream that can be read only once; the vocabulary is what was made of it.
        state = {**_weights(model), "vocabulary": list(model.wv.index_to_key)}
        values: dict[str, float] = {}
        for name in _SETTINGS:
            value = getattr(model, name, None)
            if value is not None:
                put(f"param {name}", value if is_number(value) else str(value), state, values)
        recorder.step(stream, 0, state=lambda: state, values=values, always=True)
    except Exception as error:
        recorder.failed("gensim training", error)
        return ""
    return stream


def _end(recorder: Recorder, stream: str, model: Any) -> None:
    try:
        recorder.step(stream, int(model.epochs), state=lambda: _weights(model), always=True)
    except Exception as error:
        recorder.failed("gensim model", error)


def _weights(model: Any) -> dict[str, Any]:
    found = {name: getattr(model, name, None) for name in _HIDDEN}
    for of in ("wv", "dv"):
        vectors = getattr(model, of, None)
        found.update({f"{of}.{name}": getattr(vectors, name, None) for name in _VECTORS})
    return {name: value for name, value in found.items() if value is not None}
