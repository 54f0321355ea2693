"""Running a compiled .tflite file on an Edge TPU; integers are scaled at the edges, real = scale * (integer - zero)."""

from __future__ import annotations

import numpy as np

MODEL = "model_full_integer_quant_edgetpu.tflite"
TOLERANCE = 0.1  # 8-bit integers: steps of 1/255, and layers add up
NEEDS = (
    "It needs a Coral device, its runtime libedgetpu, and the Python package tflite_runtime or ai_edge_litert: "
    "https://coral.ai/docs/accelerator/get-started"
)


def open_model(path):
    """A function from inputs to outputs, both name to array."""
    try:
        from tflite_runtime.interpreter import Interpreter, load_delegate
    except ImportError:
        from ai_edge_litert.interpreter import Interpreter, load_delegate
    # The file that isn't compiled yet runs on the processor: what differs there came with quantising it.
    compiled = str(path).endswith("_edgetpu.tflite")
    interpreter = Interpreter(
        str(path), experimental_delegates=[load_delegate("libedgetpu.so.1")] if compiled else []
    )
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()

    def run(feeds):
        by_name = {entry["name"] for entry in inputs} == set(feeds)
        for place, entry in enumerate(inputs):
            array = feeds[entry["name"]] if by_name else list(feeds.values())[place]
            interpreter.set_tensor(entry["index"], stored(array, entry))
        interpreter.invoke()
        return {entry["name"]: real(interpreter.get_tensor(entry["index"]), entry) for entry in outputs}

    return run


def stored(array, entry):
    """An input as the file has it: its layout (channels last in files of other converters) and its integers."""
    if array.ndim == 4 and list(array.shape) != list(entry["shape"]):
        array = array.transpose(0, 2, 3, 1)
    scale, zero = entry["quantization"]
    if scale:
        limits = np.iinfo(entry["dtype"])
        array = np.clip(np.rint(array / scale) + zero, limits.min, limits.max)
    return np.ascontiguousarray(array, dtype=entry["dtype"])


def real(array, entry):
    """An output as real numbers."""
    scale, zero = entry["quantization"]
    return (array.astype(np.float32) - zero) * scale if scale else array
