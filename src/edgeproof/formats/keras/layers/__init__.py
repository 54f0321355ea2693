"""How each layer of Keras is said in ONNX: one row, one function; a file for each kind."""

from __future__ import annotations

from edgeproof.formats.keras.layers import (
    activation,
    arrange,
    convolution,
    lambdas,
    merge,
    normalise,
    pooling,
    spatial,
)
from edgeproof.formats.keras.run import Translator

_TRAINING = (
    "Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout GaussianNoise "
    "ActivityRegularization RandomFlip RandomRotation RandomZoom RandomTranslation RandomContrast "
    "RandomBrightness Identity StochasticDepth"
)
_WITH_AXES = ("1D", "2D", "3D")

LAYERS: dict[str, Translator] = {
    **{f"Conv{axes}": convolution.convolution for axes in _WITH_AXES},
    "DepthwiseConv1D": convolution.depthwise,
    "DepthwiseConv2D": convolution.depthwise,
    "SeparableConv1D": convolution.separable,
    "SeparableConv2D": convolution.separable,
    "Conv2DTranspose": convolution.transposed,
    "Dense": convolution.dense,
    "BatchNormalization": normalise.batch_normalization,
    "SyncBatchNormalization": normalise.batch_normalization,
    "LayerNormalization": normalise.layer_normalization,
    "Normalization": normalise.normalization,
    "LayerScale": normalise.layer_scale,
    "Rescaling": normalise.rescaling,
    "Activation": activation.activation,
    "ReLU": activation.relu,
    "LeakyReLU": activation.leaky_relu,
    "PReLU": activation.prelu,
    "ELU": activation.elu,
    "Softmax": activation.softmax,
    **{f"MaxPooling{axes}": pooling.pool for axes in _WITH_AXES},
    **{f"AveragePooling{axes}": pooling.pool for axes in _WITH_AXES},
    **{f"GlobalMaxPooling{axes}": pooling.global_pool for axes in _WITH_AXES},
    **{f"GlobalAveragePooling{axes}": pooling.global_pool for axes in _WITH_AXES},
    **{f"ZeroPadding{axes}": arrange.zero_padding for axes in _WITH_AXES},
    **{f"Cropping{axes}": arrange.cropping for axes in _WITH_AXES},
    **{f"UpSampling{axes}": spatial.up_sampling for axes in _WITH_AXES},
    "Resizing": spatial.resizing,
    "Flatten": arrange.flatten,
    "Reshape": arrange.reshape,
    "Permute": arrange.permute,
    **dict.fromkeys(_TRAINING.split(), arrange.same),
    **dict.fromkeys(merge.BINARY, merge.merge),
    "Average": merge.average,
    "Concatenate": merge.concatenate,
    "Lambda": lambdas.function,
    "TFOpLambda": merge.tensorflow,
    # Operations of keras.ops, called on tensors.
    "Relu": activation.named("relu"),
    "Relu6": activation.named("relu6"),
    "Sigmoid": activation.named("sigmoid"),
    "Tanh": activation.named("tanh"),
}
