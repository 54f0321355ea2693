"""The fields that are taken of each layer, named as in caffe.proto (BVLC Caffe, and the SSD branch by weiliu89)."""

from __future__ import annotations

# Fillers, engines and loss settings say how to train or where to run: they are known, and change nothing here.
_CONVOLUTION = (
    "num_output bias_term pad pad_h pad_w kernel_size kernel_h kernel_w stride stride_h stride_w group dilation "
    "weight_filler bias_filler engine axis force_nd_im2col"
)

# Layer type: the name of its parameter message, and the fields known in it.
PARAMETERS: dict[str, tuple[str, str]] = {
    "AbsVal": ("", ""),
    "BatchNorm": ("batch_norm_param", "use_global_stats moving_average_fraction eps"),
    "Bias": ("bias_param", "axis num_axes filler"),
    "Concat": ("concat_param", "axis concat_dim"),
    "Convolution": ("convolution_param", _CONVOLUTION),
    "ConvolutionDepthwise": ("convolution_param", _CONVOLUTION),
    "Crop": ("crop_param", "axis offset"),
    "Deconvolution": ("convolution_param", _CONVOLUTION),
    "DepthwiseConvolution": ("convolution_param", _CONVOLUTION),
    "DetectionOutput": (
        "detection_output_param",
        "num_classes share_location background_label_id nms_param code_type variance_encoded_in_target keep_top_k "
        "confidence_threshold clip save_output_param visualize visualize_threshold save_file objectness_score",
    ),
    "Dropout": ("dropout_param", "dropout_ratio scale_train"),
    "ELU": ("elu_param", "alpha"),
    "Eltwise": ("eltwise_param", "operation coeff stable_prod_grad"),
    "Flatten": ("flatten_param", "axis end_axis"),
    "InnerProduct": (
        "inner_product_param",
        "num_output bias_term weight_filler bias_filler axis transpose",
    ),
    "Input": ("input_param", "shape"),
    "Interp": ("interp_param", "height width zoom_factor shrink_factor pad_beg pad_end"),
    "LRN": ("lrn_param", "local_size alpha beta norm_region k engine"),
    "Normalize": ("norm_param", "across_spatial scale_filler channel_shared eps"),
    "PReLU": ("prelu_param", "filler channel_shared"),
    "Permute": ("permute_param", "order"),
    "Pooling": (
        "pooling_param",
        "pool pad pad_h pad_w kernel_size kernel_h kernel_w stride stride_h stride_w engine global_pooling "
        "round_mode ceil_mode",
    ),
    "Power": ("power_param", "power scale shift"),
    "PriorBox": (
        "prior_box_param",
        "min_size max_size aspect_ratio flip clip variance img_size img_h img_w step step_h step_w offset",
    ),
    "ReLU": ("relu_param", "negative_slope engine"),
    "ReLU6": ("", ""),
    "Reshape": ("reshape_param", "shape axis num_axes"),
    "Scale": ("scale_param", "axis num_axes filler bias_term bias_filler"),
    "Sigmoid": ("sigmoid_param", "engine"),
    "Silence": ("", ""),
    "Slice": ("slice_param", "axis slice_point slice_dim"),
    "Softmax": ("softmax_param", "engine axis"),
    "Split": ("", ""),
    "TanH": ("tanh_param", "engine"),
    "Upsample": ("upsample_param", "scale"),
}

NETWORK = frozenset(
    [
        "name",
        "input",
        "input_shape",
        "input_dim",
        "force_backward",
        "state",
        "debug_info",
        "layer",
        "layers",
    ]
)
LAYER = frozenset(
    [
        "name",
        "type",
        "bottom",
        "top",
        "phase",
        "loss_weight",
        "param",
        "blobs",
        "propagate_down",
        "include",
        "exclude",
        "blobs_lr",
        "weight_decay",
        "blob_share_mode",
        "loss_param",
        "transform_param",
    ]
)

# The enum of V1LayerParameter (`layers {}`), for the types that are spelled otherwise today.
V1_TYPES = {
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "CONCAT": "Concat",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "ELTWISE": "Eltwise",
    "FLATTEN": "Flatten",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
}

# Layers of a network that is being trained.
TRAINING = frozenset(
    [
        "Accuracy",
        "AnnotatedData",
        "ContrastiveLoss",
        "Data",
        "DummyData",
        "EuclideanLoss",
        "HDF5Data",
        "HDF5Output",
        "HingeLoss",
        "ImageData",
        "InfogainLoss",
        "MemoryData",
        "MultiBoxLoss",
        "MultinomialLogisticLoss",
        "SigmoidCrossEntropyLoss",
        "SoftmaxWithLoss",
        "WindowData",
        "DetectionEvaluate",
    ]
)
