"""What is known before any picture comes, computed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgeproof.formats.graph import (
    attribute,
    constants,
    is_op,
    onnx_for,
    plain_constant,
    remove_makers_of,
    subgraphs,
)

if TYPE_CHECKING:
    import onnx

# A folded tensor is stored in the file: this bounds what a small node (Expand, Tile) may blow it up by, and
# the memory that a hostile file can ask for.
_LARGEST_RESULT = 16 * 2**20

# Random: another value each time. Casts and DequantizeLinear of weights: stored small on purpose, and the
# runtime expands them as it loads.
_NOT_FOLDED = (
    *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"),
    *("Dropout", "QuantizeLinear", "DequantizeLinear"),
)


def store_constants(model: onnx.ModelProto) -> int:
    """Turn Constant nodes into initializers; gives how many."""
    onnx = onnx_for("Simplifying a network")
    graph = model.graph
    outputs = {entry.name for entry in graph.output}
    stored: set[str] = set()
    for node in graph.node:
        # An initializer that is a graph output is legal, yet several runtimes refuse it.
        if not is_op(node, "Constant") or node.output[0] in outputs:
            continue
        value = attribute(node, "value")
        if value is not None:
            tensor = onnx.TensorProto()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
        else:
            plain = plain_constant(node)
            if plain is None:
                continue
            tensor = onnx.numpy_helper.from_array(plain, node.output[0])
        graph.initializer.append(tensor)
        stored.add(node.output[0])
    remove_makers_of(graph, stored)
    return len(stored)


def fold_constants(model: onnx.ModelProto) -> int:
    """Replace nodes that take only known tensors by their results, up to 16 MB each; gives how many."""
    graph = model.graph
    known, outputs = constants(graph), {entry.name for entry in graph.output}
    folded: set[str] = set()
    for node in graph.node:
        if not _may_fold(node, known) or any(name in outputs for name in node.output):
            continue
        results = _evaluate(node, known, model)
        if results is None:
            continue
        for tensor in results:
            graph.initializer.append(tensor)
            known[tensor.name] = tensor
        folded.add(node.output[0])
    remove_makers_of(graph, folded)
    return len(folded)


def _may_fold(node: onnx.NodeProto, known: dict[str, onnx.TensorProto]) -> bool:
    onnx = onnx_for("Simplifying a network")
    if node.domain not in ("", "ai.onnx") or node.op_type in _NOT_FOLDED or any(subgraphs(node)):
        return False
    if not node.output[0] or not any(node.input) or any(name and name not in known for name in node.input):
        return False
    return not (
        node.op_type == "Cast"
        and known[node.input[0]].data_type in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    )


def _evaluate(
    node: onnx.NodeProto, known: dict[str, onnx.TensorProto], model: onnx.ModelProto
) -> list[Any] | None:
    """The outputs of one node as tensors; None where they are too large or the runtime can't say."""
    import onnxruntime

    onnx = onnx_for("Simplifying a network")
    names = [name for name in node.output if name]
    inputs = [known[name] for name in dict.fromkeys(node.input) if name]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in names]
    tiny = onnx.helper.make_model(
        onnx.helper.make_graph([node], "node", [], outputs, initializer=inputs),
        opset_imports=[entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")],
        ir_version=min(model.ir_version, 10),
    )
    try:
        tiny = onnx.shape_inference.infer_shapes(tiny, data_prop=True)
        if not all(_is_small(entry) for entry in tiny.graph.output):
            return None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            tiny.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        results = session.run(names, {})
    except Exception:  # whatever this runtime can't compute just stays in the graph
        return None
    if not all(isinstance(result, np.ndarray) and result.dtype != object for result in results):
        return None
    return [onnx.numpy_helper.from_array(result, name) for result, name in zip(results, names, strict=True)]


def _is_small(entry: onnx.ValueInfoProto) -> bool:
    from onnx.helper import tensor_dtype_to_np_dtype

    kind = entry.type.tensor_type
    if not entry.type.HasField("tensor_type") or not kind.HasField("shape"):
        return False
    if not all(dim.HasField("dim_value") for dim in kind.shape.dim):
        return False
    # Python integers: a product of int64 sizes can wrap round to something small.
    size = int(tensor_dtype_to_np_dtype(kind.elem_type).itemsize)
    for dim in kind.shape.dim:
        size *= int(dim.dim_value)
    return 0 <= size <= _LARGEST_RESULT
