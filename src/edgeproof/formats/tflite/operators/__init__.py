"""How each operator of TFLite is said in ONNX: one row, one function; a file for each kind."""

from __future__ import annotations

from collections.abc import Callable

from edgeproof.formats.tflite.builder import Builder
from edgeproof.formats.tflite.operators import (
    arrange,
    convolution,
    elementwise,
    pick,
    pooling,
    quantise,
    spatial,
)
from edgeproof.formats.tflite.schema import Operator

Translator = Callable[[Builder, Operator], None]

OPERATORS: dict[str, Translator] = {
    "CONV_2D": convolution.convolution,
    "DEPTHWISE_CONV_2D": convolution.depthwise,
    "TRANSPOSE_CONV": convolution.transposed,
    "FULLY_CONNECTED": convolution.fully_connected,
    "BATCH_MATMUL": convolution.batch_matmul,
    **dict.fromkeys(elementwise.BINARY, elementwise.binary),
    **dict.fromkeys(elementwise.UNARY, elementwise.unary),
    **dict.fromkeys(elementwise.CLIPPED, elementwise.clipped),
    "PRELU": elementwise.prelu,
    "LEAKY_RELU": elementwise.leaky_relu,
    "RSQRT": elementwise.rsqrt,
    "GELU": elementwise.gelu,
    "SELECT": elementwise.select,
    "SELECT_V2": elementwise.select,
    "SOFTMAX": elementwise.softmax,
    "LOG_SOFTMAX": elementwise.softmax,
    "LOCAL_RESPONSE_NORMALIZATION": elementwise.local_response,
    "MAX_POOL_2D": pooling.pool,
    "AVERAGE_POOL_2D": pooling.pool,
    **dict.fromkeys(pooling.REDUCTIONS, pooling.reduce),
    "RESHAPE": arrange.reshape,
    "SQUEEZE": arrange.reshape,
    "EXPAND_DIMS": arrange.reshape,
    "TRANSPOSE": arrange.transpose,
    "CONCATENATION": arrange.concatenate,
    "PACK": arrange.pack,
    "PAD": arrange.pad,
    "PADV2": arrange.pad,
    "MIRROR_PAD": arrange.mirror_pad,
    "BROADCAST_TO": arrange.broadcast,
    "TILE": arrange.tile,
    "STRIDED_SLICE": pick.strided_slice,
    "SLICE": pick.plain_slice,
    "SPLIT": pick.split,
    "SPLIT_V": pick.split,
    "GATHER": pick.gather,
    "TOPK_V2": pick.top_k,
    "ARG_MAX": pick.arg_max,
    "ARG_MIN": pick.arg_max,
    "RESIZE_BILINEAR": spatial.resize,
    "RESIZE_NEAREST_NEIGHBOR": spatial.resize,
    "SPACE_TO_DEPTH": spatial.space_to_depth,
    "DEPTH_TO_SPACE": spatial.space_to_depth,
    "QUANTIZE": quantise.quantise,
    "DEQUANTIZE": quantise.dequantise,
    "CAST": quantise.cast,
}
