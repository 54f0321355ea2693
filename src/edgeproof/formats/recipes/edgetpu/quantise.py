"""Make model_full_integer_quant.tflite of model.tflite: weights and activations in 8-bit integers.

Needs numpy and the Python packages litert-quantizer (or ai-edge-quantizer, its older name) and ai-edge-litert.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
MADE = HERE / "model_full_integer_quant.tflite"


def main():
    try:
        from ai_edge_litert.interpreter import Interpreter

        try:
            from litert_quantizer import quantizer, recipe
        except ImportError:
            from ai_edge_quantizer import quantizer, recipe
    except ImportError as error:
        print(f"quantise.py: {error}: pip install litert-quantizer ai-edge-litert", file=sys.stderr)
        return 2
    signatures = Interpreter(str(HERE / "model.tflite")).get_signature_list()
    key = next(iter(signatures))
    with np.load(HERE / "calibration.npz", allow_pickle=False) as arrays:
        stacked = {name: arrays[name] for name in arrays.files}
    wanted = signatures[key]["inputs"]
    if set(wanted) != set(stacked):
        stacked = dict(zip(wanted, stacked.values()))
    count = len(next(iter(stacked.values())))
    rows = [{name: values[row : row + 1] for name, values in stacked.items()} for row in range(count)]
    maker = quantizer.Quantizer(str(HERE / "model.tflite"), recipe.static_wi8_ai8())
    maker.quantize(maker.calibrate({key: rows})).export_model(str(MADE), overwrite=True)
    print(MADE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
