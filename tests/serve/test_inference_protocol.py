"""The Open Inference Protocol: its own words, hostile tensors, and a real client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.engines import open_engine
from edgeproof.tasks.orientation import builtin_model
from serve.fake_pool import ask, make_app
from serve.real_server import running

SHAPE = (1, 3, 192, 192)
PIXELS = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.float32)
URL = "/v2/models/orientation/infer"


def _binary(array: np.ndarray, **changed: Any) -> dict[str, Any]:
    row = {
        "name": "input", "shape": list(array.shape), "datatype": "FP32",
        "parameters": {"binary_data_size": array.nbytes}, **changed,
    }  # fmt: skip
    head = json.dumps({"inputs": [row]}).encode()
    return {
        "content": head + array.tobytes(),
        "headers": {"inference-header-content-length": str(len(head))},
    }


@pytest.fixture(scope="module")
def wanted() -> np.ndarray:
    with open_engine(builtin_model()) as engine:
        return engine.run({"input": PIXELS})["logits"]


def test_what_it_says_of_itself() -> None:
    app = make_app()
    assert ask(app, "GET", "/v2").json()["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/orientation/ready"):
        assert ask(app, "GET", path).status_code == 200
    for path in ("/v2/models/orientation", "/v2/models/orientation/versions/1"):
        assert ask(app, "GET", path).json()["inputs"] == [
            {"name": "input", "datatype": "FP32", "shape": [-1, 3, 192, 192]}
        ]
    for path in ("/v2/models/other", "/v2/models/orientation/versions/2"):
        assert isinstance(ask(app, "GET", path).json()["error"], str)


def test_json_and_binary_give_what_the_engine_gives(wanted: np.ndarray) -> None:
    app = make_app()
    row = {"name": "input", "shape": SHAPE, "datatype": "FP32", "data": PIXELS.ravel().tolist()}
    document = ask(app, "POST", URL, json={"id": "7", "inputs": [row]}).json()
    assert (document["id"], document["model_name"], document["model_version"]) == ("7", "orientation", "1")
    assert np.array_equal(np.array(document["outputs"][0]["data"], np.float32), wanted[0])
    assert (
        ask(app, "POST", URL, **_binary(PIXELS)).json()["outputs"][0]["data"]
        == document["outputs"][0]["data"]
    )


def test_nested_lists_are_taken() -> None:
    row = {"name": "input", "shape": SHAPE, "datatype": "FP32", "data": PIXELS.tolist()}
    assert ask(make_app(), "POST", URL, json={"inputs": [row]}).status_code == 200


def test_rows_of_a_batch_answer_as_alone(wanted: np.ndarray) -> None:
    batch = np.concatenate([PIXELS, PIXELS[:, :, ::-1], PIXELS])
    data = ask(make_app(), "POST", URL, **_binary(batch)).json()["outputs"][0]
    assert data["shape"] == [3, 4]
    assert np.array_equal(
        np.array(data["data"], np.float32).reshape(3, 4)[[0, 2]], np.repeat(wanted, 2, axis=0)
    )


NAN = np.full(SHAPE, np.nan, np.float32)
BAD = [
    ("not JSON", {"content": b"{"}),
    ("a list", {"content": b"[]"}),
    ("deep", {"content": b'{"inputs":' * 5000}),
    ("no inputs", {"json": {"inputs": []}}),
    ("an unknown input", _binary(PIXELS, name="x")),
    ("another dtype", _binary(PIXELS, datatype="INT32")),
    ("no dtype", _binary(PIXELS, datatype="FP99")),
    ("another shape", _binary(PIXELS, shape=[1, 3, 192, 191])),
    ("more rows than bytes", _binary(PIXELS, shape=[2, 3, 192, 192])),
    ("a negative size", _binary(PIXELS, shape=[-1, 3, 192, 192])),
    ("a vast shape", _binary(PIXELS, shape=[10**18, 10**18])),
    ("a size that is none", _binary(PIXELS, parameters={"binary_data_size": -4})),
    ("a size that is true", _binary(PIXELS, parameters={"binary_data_size": True})),
    ("bytes left over", {**_binary(PIXELS), "content": _binary(PIXELS)["content"] + b"xxxx"}),
    ("a JSON length beyond the body", {"content": b"{}", "headers": {"inference-header-content-length": "999"}}),
    ("a JSON length that is none", {"content": b"{}", "headers": {"inference-header-content-length": "-1"}}),
    ("nothing for the input", {"json": {"inputs": [{"name": "input", "shape": [1], "datatype": "FP32"}]}}),
    ("words", {"json": {"inputs": [{"name": "input", "shape": [1], "datatype": "FP32", "data": ["a"]}]}}),
    ("ragged", {"json": {"inputs": [{"name": "input", "shape": [2], "datatype": "FP32", "data": [[1], [1, 2]]}]}}),
    ("truth", {"json": {"inputs": [{"name": "input", "shape": [1], "datatype": "FP32", "data": [True]}]}}),
    ("twice", {"json": {"inputs": [{"name": "input", "shape": [0], "datatype": "FP32", "data": []}] * 2}}),
    ("NaN in JSON", {"content": b'{"inputs":[{"name":"input","shape":[1],"datatype":"FP32","data":[NaN]}]}'}),
    ("NaN", _binary(NAN)),
    ("zero rows", _binary(PIXELS[:0])),
    ("an unknown output", {"content": b'{"inputs":[],"outputs":[{"name":"x"}]}'}),
    ("compressed", {"content": b"x", "headers": {"content-encoding": "gzip"}}),
]  # fmt: skip


@pytest.mark.parametrize("how", [row[1] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_tensors_are_refused_in_the_protocols_words(how: dict[str, Any]) -> None:
    answer = ask(make_app(), "POST", URL, **how)
    assert answer.status_code in (400, 415), answer.text
    assert isinstance(answer.json()["error"], str)


def test_json_that_would_take_too_much_memory_is_refused() -> None:
    text = b'{"inputs":[{"name":"input","shape":[1],"datatype":"FP32","data":[' + b"0," * 3_000_000 + b"0]}]}"
    assert ask(make_app(), "POST", URL, content=text).status_code == 413


def test_a_real_client(wanted: np.ndarray, tmp_path: Path) -> None:
    http = pytest.importorskip("tritonclient.http")
    with running("--model", f"mine={builtin_model()}") as server:
        client = http.InferenceServerClient(server.url.removeprefix("http://"))
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("orientation")
        assert client.get_server_metadata()["name"] == "edgeproof"
        assert client.get_model_metadata("mine")["outputs"][0]["name"] == "logits"
        for name in ("orientation", "mine"):
            for binary in (True, False):
                tensor = http.InferInput("input", SHAPE, "FP32")
                tensor.set_data_from_numpy(PIXELS, binary_data=binary)
                asked = [http.InferRequestedOutput("logits", binary_data=binary)]
                answer = client.infer(name, [tensor], outputs=asked, request_id="r")
                assert np.allclose(answer.as_numpy("logits"), wanted, atol=1e-5)
        tensor = http.InferInput("input", [1, 3, 10, 10], "FP32")
        tensor.set_data_from_numpy(np.zeros([1, 3, 10, 10], np.float32))
        with pytest.raises(Exception, match="has shape"):
            client.infer("orientation", [tensor])
        client.close()
