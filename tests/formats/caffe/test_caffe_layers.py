"""Each layer gives what OpenCV's own Caffe importer gives, or what its formula says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

HEAD = 'input: "x" input_dim: 2 input_dim: 4 input_dim: {h} input_dim: {w}\n'


def _layer(kind: str, params: str = "", name: str = "l", bottom: str = "x", top: str = "y") -> str:
    bottoms = "".join(f'bottom: "{one}" ' for one in bottom.split())
    tops = "".join(f'top: "{one}" ' for one in top.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms}{tops}{params} }}\n'


def _pool(text: str) -> str:
    return _layer("Pooling", f"pooling_param {{ {text} }}")


def _conv(text: str, kind: str = "Convolution") -> str:
    return _layer(kind, f"convolution_param {{ {text} }}")


TABLE: dict[str, tuple[str, dict[str, list[tuple[int, ...]]]]] = {
    "conv": (_conv("num_output: 6 kernel_size: 3 pad: 1 stride: 2"), {"l": [(6, 4, 3, 3), (6,)]}),
    "conv grouped": (_conv("num_output: 8 kernel_size: 3 group: 2"), {"l": [(8, 2, 3, 3), (8,)]}),
    "conv dilated": (
        _conv("num_output: 3 kernel_size: 3 dilation: 2 bias_term: false"),
        {"l": [(3, 4, 3, 3)]},
    ),
    "conv oblong": (
        _conv("num_output: 3 kernel_h: 1 kernel_w: 5 pad_h: 0 pad_w: 2 stride_h: 2 stride_w: 1"),
        {"l": [(3, 4, 1, 5), (3,)]},
    ),
    "deconv": (
        _conv("num_output: 6 kernel_size: 4 stride: 2 pad: 1", "Deconvolution"),
        {"l": [(4, 6, 4, 4), (6,)]},
    ),
    "deconv grouped": (
        _conv("num_output: 4 group: 4 kernel_size: 2 stride: 2 bias_term: false", "Deconvolution"),
        {"l": [(4, 1, 2, 2)]},
    ),
    "pool ceil": (_pool("pool: MAX kernel_size: 3 stride: 2"), {}),
    "pool ceil pad": (_pool("pool: MAX kernel_size: 3 stride: 2 pad: 1"), {}),
    "pool clipped": (_pool("pool: MAX kernel_size: 2 stride: 2 pad: 1"), {}),
    "pool average ceil": (_pool("pool: AVE kernel_size: 3 stride: 2"), {}),
    "pool average pad": (_pool("pool: AVE kernel_size: 3 stride: 2 pad: 1"), {}),
    "pool average large": (_pool("pool: AVE kernel_size: 5 stride: 3 pad: 2"), {}),
    "pool global": (_pool("pool: AVE global_pooling: true"), {}),
    "inner product": (
        _layer("InnerProduct", "inner_product_param { num_output: 5 }"),
        {"l": [(5, 792), (5,)]},
    ),
    "lrn": (_layer("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 }"), {}),
    "relu": (_layer("ReLU"), {}),
    "relu leaky": (_layer("ReLU", "relu_param { negative_slope: 0.2 }"), {}),
    "prelu": (_layer("PReLU"), {"l": [(4,)]}),
    "sigmoid": (_layer("Sigmoid"), {}),
    "tanh": (_layer("TanH"), {}),
    "abs": (_layer("AbsVal"), {}),
    "elu": (_layer("ELU"), {}),
    "power": (_layer("Power", "power_param { power: 2 scale: 0.5 shift: 1 }"), {}),
    "batch norm": (_layer("BatchNorm"), {"l": [(4,), (4,), (1,)]}),
    "batch norm, scale in place": (
        _layer("BatchNorm", name="b") + _layer("Scale", "scale_param { bias_term: true }", bottom="y"),
        {"b": [(4,), (4,), (1,)], "l": [(4,), (4,)]},
    ),
    "batch norm, scale apart": (
        _layer("BatchNorm", name="b", top="b")
        + _layer("Scale", "scale_param { bias_term: true }", bottom="b", top="s")
        + _layer("Eltwise", name="e", bottom="b s"),
        {"b": [(4,), (4,), (1,)], "l": [(4,), (4,)]},
    ),
    "scale": (_layer("Scale", "scale_param { bias_term: false }"), {"l": [(4,)]}),
    "eltwise sum": (
        _layer("ReLU", name="r", top="r")
        + _layer("Eltwise", "eltwise_param { operation: SUM coeff: 1 coeff: -0.5 }", bottom="x r"),
        {},
    ),
    "eltwise max": (
        _layer("TanH", name="r", top="r")
        + _layer("Eltwise", "eltwise_param { operation: MAX }", bottom="x r"),
        {},
    ),
    "eltwise product": (
        _layer("TanH", name="r", top="r")
        + _layer("Eltwise", "eltwise_param { operation: 0 }", bottom="x r x"),
        {},
    ),
    "concat": (_layer("ReLU", name="r", top="r") + _layer("Concat", bottom="x r"), {}),
    "slice and concat": (
        _layer("Slice", "slice_param { axis: 1 slice_point: 1 }", name="s", top="a b")
        + _layer("Concat", bottom="b a"),
        {},
    ),
    "crop": (
        _pool("pool: MAX kernel_size: 2 stride: 2").replace('top: "y"', 'top: "p"')
        + _layer("Crop", "crop_param { axis: 2 offset: 2 offset: 3 }", name="c", bottom="x p"),
        {},
    ),
    "permute": (_layer("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"), {}),
    "reshape": (_layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 2 } }"), {}),
    "flatten": (_layer("Flatten"), {}),
    "softmax": (_layer("Softmax"), {}),
    "dropout": (_layer("Dropout", "dropout_param { dropout_ratio: 0.5 }"), {}),
    "normalize channels": (
        _layer("Normalize", "norm_param { across_spatial: false channel_shared: false }"),
        {"l": [(4,)]},
    ),
    "normalize picture": (
        _layer("Normalize", "norm_param { across_spatial: true channel_shared: true }"),
        {"l": [(1,)]},
    ),
    "interp": (_layer("Interp", "interp_param { height: 23 width: 30 }"), {}),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_layer_equals_opencv(caffe: Any, name: str) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is what the layers are compared with")
    layers, shapes = TABLE[name]
    text = HEAD.format(h=11, w=18) + layers
    weights = caffe.values(shapes)
    x = np.random.default_rng(3).standard_normal((2, 4, 11, 18)).astype(np.float32)
    imported = caffe.read(text, weights)
    (ours,) = caffe.run(imported.model, x).values()
    net = cv2.dnn.readNetFromCaffe(
        np.frombuffer(text.encode(), np.uint8), np.frombuffer(caffe.model(weights), np.uint8)
    )
    net.setInput(x)
    np.testing.assert_allclose(ours, net.forward(), rtol=1e-4, atol=1e-5)
    assert imported.notes == ()
    # The batch is free: three pictures give what each gives alone.
    three = np.concatenate([x, x[:1]])
    (more,) = caffe.run(imported.model, three).values()
    np.testing.assert_allclose(more[2], ours[0], rtol=1e-4, atol=1e-5)


def test_layers_without_a_twin_in_opencv(caffe: Any) -> None:
    x = np.random.default_rng(3).standard_normal((2, 4, 3, 5)).astype(np.float32)
    gate = _pool("pool: AVE global_pooling: true").replace('top: "y"', 'top: "g"')
    squeezed = _layer("Flatten", name="f", bottom="g", top="f")
    table = {
        _layer("Upsample", "upsample_param { scale: 3 }"): x.repeat(3, 2).repeat(3, 3),
        _layer("ReLU6"): np.clip(x, 0, 6),
        gate + squeezed + _layer("Scale", "scale_param { axis: 0 }", name="s", bottom="x f"): x
        * x.mean((2, 3), keepdims=True),
        _layer("Split", top="a b") + _layer("Silence", name="q", bottom="a", top=""): x,
        _layer("Interp", "interp_param { zoom_factor: 1 }"): x,
    }
    for layers, expected in table.items():
        (ours,) = caffe.run(caffe.read(HEAD.format(h=3, w=5) + layers).model, x).values()
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6, err_msg=layers)


def test_layers_that_mix_the_batch_keep_it_as_declared(caffe: Any) -> None:
    for layers in (
        _layer("Permute", "permute_param { order: 1 order: 0 }"),
        _layer("Reshape", "reshape_param { shape { dim: -1 dim: 2 } }"),
        _layer("Softmax", "softmax_param { axis: 0 }"),
        _layer("Flatten", "flatten_param { axis: 0 }"),
    ):
        imported = caffe.read(HEAD.format(h=3, w=5) + layers)
        assert imported.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
        assert "batch stays as declared" in imported.notes[0]


@pytest.mark.parametrize("form", ["new", "v1", "loose", "double"])
def test_every_form_of_weights_reads_the_same(caffe: Any, form: str) -> None:
    text = HEAD.format(h=6, w=6) + _conv("num_output: 3 kernel_size: 3")
    weights = caffe.values({"l": [(3, 4, 3, 3), (3,)]})
    x = np.ones((1, 4, 6, 6), np.float32)
    from edgeproof.formats.caffe import read

    path = caffe.write(text, caffe.model(weights, form=form))
    (ours,) = caffe.run(read(path).model, x).values()
    np.testing.assert_allclose(ours[0, :, 0, 0], weights["l"][0].sum((1, 2, 3)) + weights["l"][1], rtol=1e-5)
