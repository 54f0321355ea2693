"""The function that turns each type of layer into ONNX nodes; its fields are in `schema.PARAMETERS`."""

from __future__ import annotations

from collections.abc import Callable

from edgeproof.formats.caffe import detection, pointwise, reshaping, windows
from edgeproof.formats.caffe.graph import Builder
from edgeproof.formats.caffe.net import Layer

LAYERS: dict[str, Callable[[Builder, Layer], None]] = {
    "AbsVal": pointwise.plain,
    "BatchNorm": pointwise.batch_norm,
    "Bias": pointwise.scale,
    "Concat": reshaping.concat,
    "Convolution": windows.convolution,
    "ConvolutionDepthwise": windows.convolution,
    "Crop": reshaping.crop,
    "Deconvolution": windows.deconvolution,
    "DepthwiseConvolution": windows.convolution,
    "DetectionOutput": detection.detection_output,
    "Dropout": pointwise.plain,
    "ELU": pointwise.elu,
    "Eltwise": pointwise.eltwise,
    "Flatten": reshaping.flatten,
    "InnerProduct": windows.inner_product,
    "Interp": reshaping.interp,
    "LRN": pointwise.lrn,
    "Normalize": pointwise.normalize,
    "PReLU": pointwise.prelu,
    "Permute": reshaping.permute,
    "Pooling": windows.pooling,
    "Power": pointwise.power,
    "PriorBox": detection.prior_box,
    "ReLU": pointwise.relu,
    "ReLU6": pointwise.relu6,
    "Reshape": reshaping.reshape,
    "Scale": pointwise.scale,
    "Sigmoid": pointwise.plain,
    "Silence": reshaping.silence,
    "Slice": reshaping.slice_,
    "Softmax": pointwise.softmax,
    "Split": reshaping.split,
    "TanH": pointwise.plain,
    "Upsample": reshaping.upsample,
}
