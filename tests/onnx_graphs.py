"""Small networks for the tests of the passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest


class Graphs:
    """Builds, runs and counts."""

    @staticmethod
    def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> Any:
        """A node from space-separated names; `-` stands for an input left out."""
        import onnx

        names = ["" if name == "-" else name for name in inputs.split()]
        return onnx.helper.make_node(kind, names, outputs.split(), **attributes)

    @staticmethod
    def model(
        nodes: Sequence[Any],
        weights: Mapping[str, Any],
        *,
        shape: Sequence[int | str] = ("N", 3, 8, 8),
        outputs: Mapping[str, int] | None = None,
        opset: int = 17,
        listed: bool = False,
    ) -> Any:
        """A network of one input `x`; `outputs`: name to rank; `listed`: weights are inputs, as of old."""
        import onnx
        from onnx import helper, numpy_helper

        values = {name: np.asarray(value) for name, value in weights.items()}
        inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)]
        if listed:
            inputs += [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                for name, value in values.items()
            ]
        ends = [
            helper.make_tensor_value_info(
                name, onnx.TensorProto.FLOAT, [f"{name}{axis}" for axis in range(rank)]
            )
            for name, rank in (outputs or {"y": 4}).items()
        ]
        stored = [numpy_helper.from_array(value, name) for name, value in values.items()]
        graph = helper.make_graph(list(nodes), "g", inputs, ends, stored)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if listed else 8
        )

    @staticmethod
    def run(model: Any, x: Any) -> list[Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return list(session.run(None, {"x": x}))

    @staticmethod
    def kinds(model: Any) -> Counter[str]:
        return Counter(node.op_type for node in model.graph.node)

    @staticmethod
    def weight(*shape: int, seed: int = 0) -> Any:
        values = np.random.default_rng(seed).standard_normal(shape)
        return (values / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    @staticmethod
    def pictures(count: int, *shape: int, seed: int = 1) -> Any:
        return np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32)


@pytest.fixture(scope="session")
def graphs() -> type[Graphs]:
    return Graphs
