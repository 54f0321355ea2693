"""The weights that each kind of layer has, in the order in which Keras stores them."""

from __future__ import annotations

from edgeproof.formats.keras.network import Layer

_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Dense")
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")


def slots(layer: Layer) -> tuple[list[str], list[str]]:
    """The names of a layer's weights: those that training moves, and those that it doesn't."""
    settings = layer.settings
    bias = ["bias"] if settings.flag("use_bias", True) else []
    kernels = {
        **{key: ["kernel", *bias] for key in _CONVOLUTIONS},
        **{key: ["depthwise_kernel", *bias] for key in _DEPTHWISE},
        **{key: ["depthwise_kernel", "pointwise_kernel", *bias] for key in _SEPARABLE},
        "LayerScale": ["gamma"],
        "PReLU": ["alpha"],
    }
    match layer.kind:
        case "BatchNormalization" | "SyncBatchNormalization":
            return _scale_and_center(layer), ["moving_mean", "moving_variance"]
        case "LayerNormalization":
            return _scale_and_center(layer), []
        case "Normalization":
            return [], [] if settings.has("mean") else ["mean", "variance", "count"]
        case kind:
            return kernels.get(kind, []), []


def _scale_and_center(layer: Layer) -> list[str]:
    gamma = ["gamma"] if layer.settings.flag("scale", True) else []
    return gamma + (["beta"] if layer.settings.flag("center", True) else [])
