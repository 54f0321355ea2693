"""Damaged ONNX files: a network or a typed error, never anything else."""

from __future__ import annotations

import random

import numpy as np
import pytest

from edgeproof.core.errors import EdgeproofError
from edgeproof.formats import read_network


@pytest.fixture(scope="module")
def data(graphs):
    """A network of opset 9, so that damage reaches the lifting too."""
    nodes = [
        graphs.node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        graphs.node("BatchNormalization", "c one one one one", "b"),
        graphs.node("Upsample", "b scales", "u", mode="nearest"),
        graphs.node("Softmax", "u", "s", axis=1),
        graphs.node("ReduceSum", "s", "y", axes=[1], keepdims=0),
    ]
    weights = {
        "w": graphs.weight(4, 3, 3, 3),
        "one": np.ones(4, np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    return graphs.model(nodes, weights, outputs={"y": 3}, opset=9).SerializeToString()


def _damage(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(len(changed))
        match chance.randrange(4):
            case 0:
                changed[place] = chance.randrange(256)
            case 1:
                changed[place] ^= 1 << chance.randrange(8)
            case 2:
                del changed[place : place + chance.randrange(1, 9)]
            case _:
                changed[place:place] = chance.randbytes(chance.randrange(1, 5))
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_a_network_or_a_typed_error(data, tmp_path, seed):
    chance, path = random.Random(seed), tmp_path / "net.onnx"
    refused = []
    for _ in range(500):
        path.write_bytes(_damage(data, chance))
        try:
            read_network(path)
        except EdgeproofError as error:
            refused.append(error)
    assert len(refused) > 250
    assert all(str(path) in error.message and error.hint for error in refused)


def test_the_undamaged_file_is_a_network(data, tmp_path):
    (tmp_path / "net.onnx").write_bytes(data)
    assert read_network(tmp_path / "net.onnx").model.opset_import[0].version == 13
