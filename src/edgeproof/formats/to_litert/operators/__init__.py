"""How each operator of ONNX is said in TFLite: one row, one function; a file for each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeproof.formats.to_litert.builder import Builder
from edgeproof.formats.to_litert.operators import (
    arrange,
    convolution,
    elementwise,
    pooling,
    quantise,
    spatial,
)

Writer = Callable[[Builder, Any], None]

OPERATORS: dict[str, Writer] = {
    "Conv": convolution.convolution,
    "ConvTranspose": convolution.transposed,
    "Gemm": convolution.gemm,
    "MatMul": convolution.matmul,
    "BatchNormalization": convolution.batch_norm,
    **dict.fromkeys(elementwise.BINARY, elementwise.binary),
    **dict.fromkeys(elementwise.UNARY, elementwise.unary),
    "Clip": elementwise.clip,
    "LeakyRelu": elementwise.leaky_relu,
    "PRelu": elementwise.prelu,
    "Elu": elementwise.elu,
    "HardSigmoid": elementwise.hard_sigmoid,
    "Softplus": elementwise.softplus,
    "Reciprocal": elementwise.reciprocal,
    "Softmax": elementwise.softmax,
    "LogSoftmax": elementwise.softmax,
    "Where": elementwise.where,
    "Cast": elementwise.cast,
    "Identity": elementwise.identity,
    "Dropout": elementwise.identity,
    "MaxPool": pooling.max_pool,
    "AveragePool": pooling.average_pool,
    "GlobalAveragePool": pooling.global_pool,
    "GlobalMaxPool": pooling.global_pool,
    **dict.fromkeys(pooling.REDUCTIONS, pooling.reduce),
    **dict.fromkeys(pooling.NORMS, pooling.norm),
    "ArgMax": pooling.arg_max,
    "ArgMin": pooling.arg_max,
    "Reshape": arrange.reshape,
    "Flatten": arrange.reshape,
    "Squeeze": arrange.reshape,
    "Unsqueeze": arrange.reshape,
    "Transpose": arrange.transpose,
    "Concat": arrange.concat,
    "Split": arrange.split,
    "Slice": arrange.slices,
    "Pad": arrange.pad,
    "Gather": arrange.gather,
    "Expand": arrange.expand,
    "Tile": arrange.tile,
    "TopK": arrange.top_k,
    "Resize": spatial.resize,
    "Upsample": spatial.resize,
    "DepthToSpace": spatial.depth_to_space,
    "SpaceToDepth": spatial.space_to_depth,
    "LRN": spatial.local_response,
    "InstanceNormalization": spatial.normalise,
    "LayerNormalization": spatial.normalise,
    "QuantizeLinear": quantise.quantise,
    "DequantizeLinear": quantise.dequantise,
}
