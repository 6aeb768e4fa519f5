"""NVIDIA's client of the Open Inference Protocol works unchanged, straight to a model and by the router."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from relive.core.endpoint import Address, Route, RoutingTable, Target, encode_table
from relive.serving.signature import Signature, TensorSpec, write
from tests.unit.serving.models import Registered, custom, iris_classifier, iris_rows, register
from tests.unit.serving.processes import eventually, get, router_command, running, serve_command

# Gives each of its inputs back, so that every datatype can be sent there and back.
ECHO = "def build(folder): return lambda inputs: dict(inputs)"
DATATYPES = {
    "BOOL": np.array([[True, False], [False, True]]),
    **{
        f"UINT{bits}": np.array([[0, 2**bits - 1], [1, 2]], dtype=f"u{bits // 8}") for bits in (8, 16, 32, 64)
    },
    **{
        f"INT{bits}": np.array([[-(2 ** (bits - 1)), 2 ** (bits - 1) - 1], [0, -1]], dtype=f"i{bits // 8}")
        for bits in (8, 16, 32, 64)
    },
    "FP16": np.array([[0.1, -65504], [5e-8, np.nan]], dtype=np.float16),
    "FP32": np.array([[0.1, -3.4e38], [1e-45, np.inf]], dtype=np.float32),
    "FP64": np.array([[0.1, -1.7e308], [5e-324, -np.inf]]),
    "BYTES": np.array([["né", ""], ["日本", "x" * 300]], dtype=object),
}


def echo_model(folder: Path) -> Registered:
    """A model with one input and output of each datatype, each of shape [-1, 2]."""
    model, code = custom(folder, ECHO)
    specs = tuple(TensorSpec(name, name, (-1, 2)) for name in DATATYPES)
    values = {"BOOL": [True, False], "BYTES": ["a", "b"]}
    inputs = [
        {"name": name, "datatype": name, "shape": [1, 2], "data": values.get(name, [1, 2])}
        for name in DATATYPES
    ]
    (folder / "contract").mkdir()
    write(
        Signature(specs, specs, tuple(DATATYPES), "named", "custom", {"inputs": inputs}),
        str(folder / "contract"),
    )
    return Registered(model, folder / "contract", "own:build", code)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[dict[str, Address]]:
    """Serve iris and the echo model on TCP, and both behind a router (about 5 s to start)."""
    folder = tmp_path_factory.mktemp("oip")
    iris = register(
        iris_classifier(folder / "iris"), iris_rows(folder / "rows.csv"), folder / "iris/contract"
    )
    echo = echo_model(folder / "echo")
    with ExitStack() as stack:
        addresses = {}
        for name, registered in (("iris", iris), ("echo", echo)):
            process = stack.enter_context(running(serve_command(registered, "--port", "0", name=name)))
            addresses[name] = process.announced()
        routes = {
            name: Route(stable=Target(revision=1, model=name, version="1", address=str(address)))
            for name, address in addresses.items()
        }
        table = folder / "table.json"
        table.write_bytes(encode_table(RoutingTable(version=1, endpoints=routes)))
        router = stack.enter_context(running(router_command(table))).announced()
        eventually("the router is ready", lambda: get(router, "/v2/health/ready").status == 200)
        yield {**addresses, "router": router, "model": Address(path=str(folder / "iris/model"))}


@pytest.fixture(params=["direct", "router"])
def client_of(request, served) -> Iterator[Any]:
    """Give a function that makes the client of a model, straight or through the router."""
    clients: list[Any] = []

    def make(name: str, **more: Any) -> Any:
        address = served[name if request.param == "direct" else "router"]
        url = f"{address.host}:{address.port}"
        clients.append(triton.InferenceServerClient(url, network_timeout=120.0, **more))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def tensor(name: str, array: Any, *, binary: bool) -> Any:
    made = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def iris_input(rows: Any, *, binary: bool) -> Any:
    return tensor("input-0", rows, binary=binary)


def test_health_and_metadata(client_of):
    client = client_of("iris")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", "1")
    assert not client.is_model_ready("absent")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("iris", "1")
    assert metadata["platform"] == "sklearn_joblib"
    assert metadata["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}]
    assert [output["name"] for output in metadata["outputs"]] == ["predict", "probabilities"]


def test_the_repository_index_with_the_clients_empty_body(client_of):
    index = {item["name"]: item["state"] for item in client_of("iris").get_model_repository_index()}
    assert index["iris"] == "READY"


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True])
@pytest.mark.parametrize("rows", [1, 100, 3000])
def test_predictions_are_the_models_own(client_of, served, binary_in, binary_out, rows):
    data = np.random.default_rng(rows).normal(5, 2, (rows, 4))
    wanted = [
        triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("probabilities", "predict")
    ]
    result = client_of("iris").infer(
        "iris", [iris_input(data, binary=binary_in)], request_id=f"r{rows}", outputs=wanted
    )
    model = joblib.load(f"{served['model'].path}/model.joblib")
    assert np.array_equal(result.as_numpy("predict"), model.predict(data))
    assert np.array_equal(result.as_numpy("probabilities"), model.predict_proba(data))
    assert result.get_response()["id"] == f"r{rows}"


def test_without_asking_only_the_prediction_comes(client_of):
    result = client_of("iris").infer("iris", [iris_input(np.ones((2, 4)), binary=True)])
    assert [output["name"] for output in result.get_response()["outputs"]] == ["predict"]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests(client_of, algorithm):
    result = client_of("iris").infer(
        "iris", [iris_input(np.ones((50, 4)), binary=True)], request_compression_algorithm=algorithm
    )
    assert result.as_numpy("predict").shape == (50,)


@pytest.mark.parametrize("binary_out", [False, True])
def test_every_datatype_comes_back_bit_for_bit_in_binary(client_of, binary_out):
    inputs = [tensor(name, array, binary=True) for name, array in DATATYPES.items()]
    wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in DATATYPES]
    result = client_of("echo").infer("echo", inputs, outputs=wanted)
    for name, array in DATATYPES.items():
        check_same(result.as_numpy(name), array)


def test_every_datatype_comes_back_in_json(client_of):
    arrays = {name: finite(array) for name, array in DATATYPES.items()}
    # The client itself has no JSON for FP16.
    inputs = [tensor(name, array, binary=name == "FP16") for name, array in arrays.items()]
    wanted = [triton.InferRequestedOutput(name, binary_data=False) for name in arrays]
    result = client_of("echo").infer("echo", inputs, outputs=wanted)
    for name, array in arrays.items():
        check_same(result.as_numpy(name), array)


def finite(array: Any) -> Any:
    """Put 1 where the client has no JSON for an element."""
    return np.where(np.isfinite(array), array, 1).astype(array.dtype) if array.dtype.kind == "f" else array


def check_same(received: Any, array: Any) -> None:
    if array.dtype == object:
        texts = [item.decode() if isinstance(item, bytes) else item for item in received.ravel()]
        assert texts == array.ravel().tolist()
    else:
        assert received.dtype == array.dtype
        assert np.array_equal(received, array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("input-0", np.ones((2, 5)), "shape is [2, 5], expected [-1, 4]"),
        ("other", np.ones((2, 4)), "inputs are ['other'], expected ['input-0']"),
        ("input-0", np.array([["a"] * 4], dtype=object), "datatype is BYTES, expected FP64"),
    ],
)
def test_the_client_reads_our_errors(client_of, name, array, said):
    with pytest.raises(InferenceServerException) as caught:
        client_of("iris").infer("iris", [tensor(name, array, binary=True)])
    assert said in caught.value.message()
    assert caught.value.status() == "400"


@pytest.mark.parametrize(
    "call", ["get_model_config", "get_inference_statistics", "load_model", "unload_model"]
)
def test_what_is_not_served_is_an_error_the_client_understands(client_of, call):
    with pytest.raises(InferenceServerException):
        getattr(client_of("iris"), call)("iris")


def test_an_unknown_model_is_404(client_of):
    with pytest.raises(InferenceServerException) as caught:
        client_of("iris").infer("absent", [iris_input(np.ones((1, 4)), binary=True)])
    assert caught.value.status() == "404"


def test_many_requests_at_once(client_of):
    client = client_of("iris", concurrency=8)
    waiting = [client.async_infer("iris", [iris_input(np.full((1, 4), i), binary=True)]) for i in range(100)]
    assert all(request.get_result().as_numpy("predict").shape == (1,) for request in waiting)
