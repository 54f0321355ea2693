"""Makes the files beside it, with TensorFlow 2.21, Keras 3.15 and tf_keras 2.21: python make.py.

Tests read them without any of these.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import keras
import numpy as np
import tf_keras
from keras import layers as L

HERE = Path(__file__).parent
RANDOM = np.random.default_rng(0)


def fill(model: keras.Model) -> None:
    for weight in model.weights:
        values = RANDOM.normal(size=weight.shape) * 0.5
        if "variance" in weight.path or "gamma" in weight.path:
            values = np.abs(values) + 0.5
        if weight.dtype == "float32":
            weight.assign(values.astype("float16"))
    for layer in model.layers:
        if isinstance(layer, L.Normalization):
            layer.finalize_state()


def halves(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers that float16 has, so that the files stay small."""
    return RANDOM.normal(size=shape).astype("float16").astype("float32")


def one(layer: keras.layers.Layer, *shapes: tuple[int, ...]) -> keras.Model:
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))


def cases() -> dict[str, keras.Model]:
    picture, odd = (5, 6, 3), (4, 7, 4)
    found = {
        "conv same even stride": one(L.Conv2D(4, (2, 4), strides=(2, 3), padding="same"), picture),
        "conv valid dilated": one(L.Conv2D(2, 2, dilation_rate=(2, 3), activation="relu"), picture),
        "conv groups": one(L.Conv2D(6, 3, groups=2, padding="same", use_bias=False), odd),
        "conv 1d causal": one(L.Conv1D(3, 3, padding="causal", dilation_rate=2), (9, 2)),
        "conv 3d": one(L.Conv3D(2, 2, padding="same", strides=2), (3, 4, 5, 2)),
        "depthwise": one(L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2), odd),
        "depthwise dilated": one(L.DepthwiseConv2D((2, 3), dilation_rate=2), odd),
        "separable": one(L.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2), odd),
        "transposed same": one(L.Conv2DTranspose(3, 3, strides=2, padding="same"), odd),
        "transposed same even": one(L.Conv2DTranspose(3, (4, 2), strides=(2, 3), padding="same"), odd),
        "transposed valid": one(L.Conv2DTranspose(3, (2, 4), strides=3, padding="valid"), odd),
        "transposed more": one(L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1), odd),
        "transposed less": one(L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=0), odd),
        "dense": one(L.Dense(4, activation="tanh"), (5,)),
        "dense on pictures": one(L.Dense(2, activation="sigmoid"), picture),
        "batch norm": one(L.BatchNormalization(), picture),
        "batch norm flat": one(L.BatchNormalization(center=False, epsilon=0.1), (4,)),
        "batch norm rows": one(L.BatchNormalization(axis=1, scale=False), picture),
        "layer norm": one(L.LayerNormalization(), picture),
        "prelu": one(L.PReLU(), picture),
        "prelu shared": one(L.PReLU(shared_axes=[1, 2]), picture),
        "relu bounded": one(L.ReLU(max_value=0.7), picture),
        "relu slope": one(L.ReLU(negative_slope=0.2), picture),
        "relu all": one(L.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.3), picture),
        "relu threshold": one(L.ReLU(threshold=0.4), picture),
        "relu slope bounded": one(L.ReLU(max_value=0.5, negative_slope=0.3), picture),
        "leaky relu": one(L.LeakyReLU(), picture),
        "elu": one(L.ELU(alpha=0.7), picture),
        "softmax rows": one(L.Softmax(axis=1), picture),
        "max pool same": one(L.MaxPooling2D((2, 3), strides=(3, 2), padding="same"), picture),
        "max pool": one(L.MaxPooling2D(2), picture),
        "mean pool same": one(L.AveragePooling2D(3, strides=2, padding="same"), picture),
        "mean pool 1d": one(L.AveragePooling1D(2), (7, 2)),
        "max pool 3d": one(L.MaxPooling3D(2, padding="same"), (3, 3, 3, 2)),
        "global mean": one(L.GlobalAveragePooling2D(), picture),
        "global mean kept": one(L.GlobalAveragePooling2D(keepdims=True), picture),
        "global max": one(L.GlobalMaxPooling2D(), picture),
        "global max 1d": one(L.GlobalMaxPooling1D(), (7, 2)),
        "zero padding": one(L.ZeroPadding2D(((1, 0), (2, 3))), picture),
        "zero padding 1d": one(L.ZeroPadding1D((1, 2)), (4, 2)),
        "cropping": one(L.Cropping2D(((1, 0), (2, 1))), picture),
        "cropping 1d": one(L.Cropping1D((1, 2)), (6, 2)),
        "up nearest": one(L.UpSampling2D((2, 3)), picture),
        "up bilinear": one(L.UpSampling2D((2, 3), interpolation="bilinear"), picture),
        "up 1d": one(L.UpSampling1D(3), (4, 2)),
        "resizing": one(L.Resizing(9, 5), picture),
        "resizing nearest": one(L.Resizing(4, 11, interpolation="nearest"), picture),
        "resizing up": one(L.Resizing(7, 17), picture),
        "resizing by a whole": one(L.Resizing(10, 6), picture),
        "flatten": one(L.Flatten(), picture),
        "reshape": one(L.Reshape((3, -1, 2)), picture),
        "permute": one(L.Permute((3, 1, 2)), picture),
        "rescaling": one(L.Rescaling([0.5, 2.0, 1.0], offset=[0.1, -1.0, 0.0]), picture),
        "normalization": one(L.Normalization(), picture),
        "normalization given": one(L.Normalization(mean=[1.0, 2.0, 0.5], variance=[0.5, 2.0, 0.1]), picture),
        "normalization back": one(L.Normalization(mean=0.3, variance=2.0, axis=None, invert=True), picture),
        "dropout": one(L.Dropout(0.4), picture),
        "add": one(L.Add(), picture, picture, picture),
        "subtract": one(L.Subtract(), picture, picture),
        "multiply broadcast": one(L.Multiply(), picture, (1, 1, 3)),
        "multiply ranks": one(L.Multiply(), picture, (3,)),
        "average": one(L.Average(), picture, picture, picture),
        "maximum": one(L.Maximum(), picture, picture),
        "minimum": one(L.Minimum(), picture, picture),
        "concatenate": one(L.Concatenate(), picture, (5, 6, 2)),
        "concatenate rows": one(L.Concatenate(axis=1), picture, (2, 6, 3)),
        "operations": one(lambda x: (2.0 - x * 0.5) / 3.0 + x, picture),
    }
    names = (
        "relu relu6 sigmoid tanh softmax log_softmax silu gelu elu selu hard_sigmoid hard_silu softplus softsign "
        "exponential leaky_relu mish linear"
    )
    return found | {f"activation {name}": one(L.Activation(name), (3, 4)) for name in names.split()}


def functional() -> keras.Model:
    taken = keras.Input((12, 10, 3), name="picture")
    x = L.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(taken)
    x = L.SeparableConv2D(6, 3, padding="same", activation="silu")(x)
    mask = L.UpSampling2D(2, interpolation="bilinear", name="mask")(x)
    head = keras.Sequential(
        [keras.Input((6, 5, 6)), L.Conv2D(5, 1), L.BatchNormalization(), L.Conv2D(4, 1)], name="head"
    )
    z = L.Flatten()(2.0 - head(x))
    return keras.Model(taken, [L.Dense(4, activation="softmax", name="classes")(z), mask], name="net")


def named() -> keras.Model:
    """Tables of tensors, whose keys are in another order than their layers, computed in halves."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    difference = L.Dense(2, name="difference")(L.Subtract()([first, second]))
    model = keras.Model({"b": first, "a": second}, {"z": difference, "y": L.Dense(2, name="plain")(second)})
    keras.mixed_precision.set_global_policy("float32")
    fill(model)
    return model


def inside(k: Any) -> Any:
    """Models inside a model, called twice; `k` is Keras 3, or tf_keras: Keras 2, which counts their calls otherwise."""
    layers = k.layers
    taken = k.Input((6, 6, 3), name="picture")
    deep = k.Model(taken, layers.Flatten()(layers.DepthwiseConv2D(3, name="deep")(taken)), name="inner")
    head = k.Sequential([layers.InputLayer((48,)), layers.Dense(2, activation="softmax")], name="head")
    picture = k.Input((6, 6, 3), name="picture")
    first, second = deep(picture), deep(layers.ReLU()(picture))
    return k.Model(picture, [second, layers.Add(name="sum")([head(first), head(second)])])


def main() -> None:
    given, made, table = [], [], {}
    for name, model in cases().items():
        fill(model)
        inputs = [halves((1, *each.shape[1:])) for each in model.inputs]
        answer = np.asarray(model(inputs if len(inputs) > 1 else inputs[0], training=False))
        weights = [np.asarray(each) for each in model.weights]
        given.extend([*inputs, *weights])
        made.append(answer)
        table[name] = {
            "architecture": slim(json.loads(model.to_json())),
            "inputs": [each.shape for each in inputs],
            "weights": [each.shape for each in weights],
            "output": answer.shape,
        }
    np.savez_compressed(
        HERE / "layers.npz",
        table=np.frombuffer(json.dumps(table).encode(), np.uint8),
        given=np.concatenate([each.ravel() for each in given]).astype(np.float16),
        made=np.concatenate([each.ravel() for each in made]),
    )

    model = functional()
    fill(model)
    x = RANDOM.uniform(0, 255, (2, 12, 10, 3)).astype("float32")
    classes, mask = model(x)
    np.savez_compressed(HERE / "functional.npz", picture=x, classes=classes, mask=mask)
    model.save(HERE / "functional.keras")
    model.save(HERE / "functional.h5")

    model = keras.Sequential(
        [keras.Input((8, 8, 2)), L.Conv2D(4, 3, padding="same"), L.Flatten(), L.Dense(3)]
    )
    fill(model)
    x = RANDOM.uniform(-1, 1, (2, 8, 8, 2)).astype("float32")
    np.savez_compressed(HERE / "sequential.npz", x=x, y=model(x))
    model.save_weights(HERE / "sequential.weights.h5")
    (HERE / "sequential.json").write_text(model.to_json())

    named().save(HERE / "named.keras")
    inside(keras).save(HERE / "inside.keras")
    inside(tf_keras).save(HERE / "keras2.h5")

    for name, make in {"external_link": link, "external_storage": storage, "virtual": virtual}.items():
        with h5py.File(HERE / f"{name}.h5", "w") as file:
            file.attrs["layer_names"] = np.array([b"dense"])
            file.create_group("dense").attrs["weight_names"] = np.array([b"kernel", b"bias"])
            make(file["dense"])
            file["dense"]["bias"] = np.zeros(2, "float32")
    for name, options in {"chunked": {"chunks": (2, 2)}, "packed": {"compression": "gzip"}}.items():
        with h5py.File(HERE / f"{name}.h5", "w") as file:
            file.attrs["layer_names"] = np.array([b"dense"])
            file.create_group("dense").attrs["weight_names"] = np.array([b"kernel", b"bias"])
            file["dense"].create_dataset("kernel", data=np.zeros((4, 2), "float32"), **options)
            file["dense"]["bias"] = np.zeros(2, "float32")
    with h5py.File(HERE / "newest.h5", "w", libver="latest") as file:
        file.attrs["layer_names"] = np.array([b"dense"])
        file.create_group("dense").attrs["weight_names"] = np.array([b"kernel", b"bias"])
        file["dense"]["kernel"] = np.arange(8, dtype="float16").reshape(4, 2)
        file["dense"]["bias"] = np.ones(2, "float64")


def slim(value: object) -> object:
    """The architecture without what says how to train."""
    if isinstance(value, dict):
        gone = (
            "initializer",
            "regularizer",
            "constraint",
            "build_config",
            "registered_name",
            "shared_object_id",
        )
        return {name: slim(each) for name, each in value.items() if not name.endswith(gone)}
    return [slim(each) for each in value] if isinstance(value, list) else value


def link(group: h5py.Group) -> None:
    group["kernel"] = h5py.ExternalLink("/etc/hostname", "/kernel")


def storage(group: h5py.Group) -> None:
    group.create_dataset("kernel", (4, 2), "float32", external=[("/etc/hostname", 0, 32)])


def virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((4, 2), "float32")
    layout[:] = h5py.VirtualSource("/etc/hostname", "kernel", (4, 2))
    group.create_virtual_dataset("kernel", layout)


if __name__ == "__main__":
    main()
