"""What happens to a model at registration and before it serves: describe it, check its contract.

Example rows go through the same reading and writing as a client's request, so what is recorded is what a
client gets.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import contract, example, oip, signature, tensors
from .contract import Agreement
from .faults import BadSignature, ContractBroken, RequestFault
from .flavors import Loaded
from .predictor import PREDICT, PROBABILITIES, predict
from .signature import Signature, TensorSpec

if TYPE_CHECKING:
    from .tensors import Array


@dataclass(frozen=True)
class Description:
    """A signature, and the response to its example."""

    signature: Signature
    expected: dict[str, Any]

    def write(self, folder: str) -> None:
        """Write signature.json and expected.json into the folder, made if absent."""
        os.makedirs(folder, exist_ok=True)
        signature.write_json(os.path.join(folder, contract.FILE_NAME), self.expected)
        signature.write(self.signature, folder)


def describe(model: Loaded, example_path: str) -> Description:
    """Learn a model's signature and its predictions from example rows.

    Raises:
        BadExample: The rows cannot be used.
        BadPrediction: The model gave what cannot be served.
        ContractBroken: It gives other predictions when asked twice.
    """
    rows = example.read(example_path)
    layout, inputs = example.inputs_for(rows, model.columns, named=model.named)
    inputs = example.typed(inputs, model.datatypes)
    wanted = (PROBABILITIES,) if model.predict_proba is not None else ()
    outputs = predict(model, layout, inputs, wanted=(*wanted, PREDICT))
    learnt = Signature(
        inputs=_specs(inputs),
        outputs=_specs(outputs),
        default_outputs=tuple(name for name in outputs if name not in wanted),
        layout=layout,
        platform=model.platform,
        example=oip.encode_request(inputs, tuple(outputs) if wanted else ()),
    )
    expected = respond(model, learnt)
    try:
        contract.compare(expected, respond(model, learnt))
    except ContractBroken as error:
        raise ContractBroken(
            f"The model does not give the same predictions for the same rows twice: {error}.\n"
            "  expected: a model without randomness at prediction\n"
            "  try:      switch dropout and sampling off, or seed them, in the model or its loader"
        ) from error
    return Description(learnt, expected)


def respond(model: Loaded, learnt: Signature) -> dict[str, Any]:
    """Answer the signature's example as a server would, as a JSON object.

    Raises:
        BadSignature: The example does not fit its own signature.
    """
    try:
        request = oip.parse_request(json.dumps(learnt.example).encode(), None, learnt)
    except RequestFault as error:
        raise BadSignature(f"the example does not fit its signature: {error}") from error
    outputs = predict(model, learnt.layout, request.inputs, wanted=tuple(request.outputs))
    chosen = {name: outputs[name] for name in request.outputs}
    body, _ = oip.encode_response(chosen, {}, model="", version="", request_id=None)
    response: dict[str, Any] = json.loads(body)
    return response


def check(model: Loaded, learnt: Signature, expected: dict[str, Any]) -> Agreement:
    """Run the contract test in this process.

    Raises:
        ContractBroken: The predictions are not those recorded.
    """
    return contract.compare(expected, respond(model, learnt))


def _specs(arrays: dict[str, Array]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, tensors.datatype_of(array), (-1, *array.shape[1:])) for name, array in arrays.items()
    )
