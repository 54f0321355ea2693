"""Files that are wrong or hostile: a typed error that names the place, never anything else."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError, ModelError, NotFoundError
from edgeproof.formats.caffe import read
from edgeproof.formats.caffe.prototxt import Message, parse
from edgeproof.formats.caffe.weights import read_weights

HEAD = 'input: "x"\ninput_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
TEXTS = {
    "unknown layer": (
        HEAD + 'layer { name: "odd" type: "Warp" bottom: "x" top: "y" }',
        r"line 3: layer 'odd' is of type 'Warp'",
    ),
    "training": ('layer { name: "d" type: "Data" top: "x" }', "deploy.prototxt"),
    "python": (HEAD + 'layer { name: "p" type: "Python" bottom: "x" top: "y" }', "program of its own"),
    "old format": (HEAD + 'layers { layer { name: "a" type: "conv" } }', "upgrade_net_proto_text"),
    "cycle": (
        HEAD
        + 'layer { name: "a" type: "ReLU" bottom: "b" top: "a" }\n'
        + 'layer { name: "b" type: "ReLU" bottom: "a" top: "b" }',
        "line 3, layer 'a'.*only made by layer 'b'.*cycle",
    ),
    "no maker": (
        HEAD + 'layer { name: "a" type: "ReLU" bottom: "xx" top: "a" }',
        "nothing makes.*Did you mean x",
    ),
    "misspelt field": (
        HEAD + 'layer { name: "a" type: "ReLU" bottom: "x" top: "a" relu_param { negative_slop: 1 } }',
        "negative_slop.*Did you mean negative_slope",
    ),
    "no layers": (HEAD, "holds no layers"),
    "no input": ('layer { name: "a" type: "ReLU" bottom: "x" top: "a" }', "declares no input"),
    "no number": (
        HEAD.replace("8", "eight", 1) + 'layer { type: "ReLU" bottom: "x" top: "y" }',
        "not a whole number",
    ),
    "huge input": (
        HEAD.replace("8", "2000000000") + 'layer { type: "ReLU" bottom: "x" top: "y" }',
        "has the shape",
    ),
    "open block": (HEAD + 'layer { name: "a"', "line 3.*ends inside"),
    "deep": ("layer {" * 1000, "nested more than"),
    "no text": ("\0\1\2", "line 1"),
    "huge word": ("a" * 5000, "5000 characters"),
    "within channel": (
        HEAD
        + 'layer { name: "n" type: "LRN" bottom: "x" top: "y" lrn_param { norm_region: WITHIN_CHANNEL } }',
        "within a channel",
    ),
    "window outside": (
        HEAD + 'layer { name: "n" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 9 } }',
        "window of 9",
    ),
    "many priors": (
        HEAD
        + 'layer { name: "p" type: "PriorBox" bottom: "x" bottom: "x" top: "y" prior_box_param {'
        + " min_size: 1" * 50_000
        + " } }",
        "constant of",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_wrong_prototxt_is_named(caffe: Any, name: str) -> None:
    text, message = TEXTS[name]
    with pytest.raises(ModelError, match=f"(?s){message}"):
        caffe.read(text)


def test_missing_and_empty_files_are_named(caffe: Any) -> None:
    model = caffe.model(caffe.values(caffe.small_shapes))
    path = caffe.write(caffe.small, model)
    assert read(path).model == read(path.with_suffix(".caffemodel")).model
    path.with_suffix(".caffemodel").write_bytes(b"")
    with pytest.raises(ModelError, match="0 bytes"):
        read(path)
    path.with_suffix(".caffemodel").unlink()
    with pytest.raises(ModelError, match="no weights"):
        read(path)
    path.write_text("")
    with pytest.raises(ModelError, match="is empty"):
        read(path, seed=1)
    path.unlink()
    with pytest.raises(NotFoundError, match=r"no net\.prototxt"):
        read(path.with_suffix(".caffemodel"))


def test_weights_that_do_not_fit_are_named(caffe: Any) -> None:
    weights = caffe.values(caffe.small_shapes)
    for change, message in (
        ({"conv": [np.ones((4, 3, 5, 5), np.float32)]}, r"'conv'.*\[4, 3, 5, 5\].*\[4, 3, 3, 3\]"),
        ({"conv": [np.ones((3, 4, 3, 3), np.float32)]}, r"'conv'.*\[3, 4, 3, 3\]"),
        ({"loc": weights["loc"][:1]}, "'loc'.*1 blobs, where it needs 2"),
        ({"conv": []}, "'conv'.*0 blobs"),
    ):
        with pytest.raises(ModelError, match=message):
            caffe.read(caffe.small, {**weights, **change})
    del weights["scale"]
    with pytest.raises(ModelError, match=r"'scale'.*no layer of that name"):
        caffe.read(caffe.small, weights)


def test_seeded_weights_are_bounded(caffe: Any) -> None:
    text = (
        HEAD
        + 'layer { name: "i" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 99999999 } }'
    )
    with pytest.raises(ModelError, match="over 2 GB"):
        read(caffe.write(text, None), seed=1)


@pytest.mark.parametrize(
    "data",
    [
        b"\xa2\x06\xff\xff\xff\xff\x07" + b"x" * 100,  # a layer of 2 GB
        b"\xa2\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa2\x06",
        b"\x03",
        b"\x00\x00",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xa2\x06\x02\x3a\x00" * 100_000,  # no names, empty blobs
        b"\xa2\x06\xc0\x3e" + b"\x3a\x00" * 4000,  # one layer of 4,000 blobs
    ],
)
def test_a_damaged_caffemodel_costs_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=r"net\.caffemodel"):
            read_weights(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(data) + (20 << 20)


def test_text_forms_of_protobuf() -> None:
    root = parse("a: [1, 2] b < c: 'x' \"y\" >; d { e: -1.5e-3 } # end\nf: TEST", "n")
    assert [entry.value for entry in root.all("a")] == ["1", "2"]
    b = root.all("b")[0].value
    assert isinstance(b, Message)
    assert b.all("c")[0].value == "xy"
    assert root.all("f")[0].line == 2


def _mutate(data: bytes, random: np.random.Generator) -> bytes:
    out = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        at = int(random.integers(len(out)))
        match int(random.integers(5)):
            case 0:
                out[at] = int(random.integers(256))
            case 1:
                del out[at : at + int(random.integers(1, 40))]
            case 2:
                out[at:at] = bytes(random.integers(0, 256, int(random.integers(1, 10)), dtype=np.uint8))
            case 3:
                other = int(random.integers(len(out)))
                out[at:at] = out[other : other + int(random.integers(1, 60))]
            case _:
                out[at] ^= 1 << int(random.integers(8))
        out = out or bytearray(b"\0")
    return bytes(out)


def _survives(path: Path) -> bool:
    try:
        read(path)
    except EdgeproofError:
        return False
    return True


def test_mutated_weights_give_typed_errors(caffe: Any) -> None:
    model = caffe.model(caffe.values(caffe.small_shapes))
    path = caffe.write(caffe.small, model)
    random = np.random.default_rng(1)
    taken = 0
    for _ in range(2000):
        path.with_suffix(".caffemodel").write_bytes(_mutate(model, random))
        taken += _survives(path)
    assert 0 < taken < 2000


def test_mutated_text_gives_typed_errors(caffe: Any) -> None:
    path = caffe.write(caffe.small, caffe.model(caffe.values(caffe.small_shapes)))
    text = caffe.small.encode()
    random = np.random.default_rng(2)
    taken = 0
    for _ in range(1700):
        path.write_bytes(_mutate(text, random))
        taken += _survives(path)
    digits = [at for at, letter in enumerate(text) if chr(letter).isdigit()]
    for _ in range(300):  # numbers are where the harm is
        at = digits[int(random.integers(len(digits)))]
        value = random.choice([b"0", b"-1", b"99999999", b"2147483647", b"7", b"1e30", b"nan"])
        path.write_bytes(text[:at] + bytes(value) + text[at + 1 :])
        taken += _survives(path)
    assert 0 < taken < 2000
