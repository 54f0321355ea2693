"""`edgeproof export`."""

from __future__ import annotations

import click

from edgeproof.cli.conversion import show_conversion
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output

# As in verify/exporting.py, which only loads when the command runs.
_TARGETS = ("openvino", "litert", "ncnn", "tensorrt", "ascend", "edgetpu")


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--to", "target", type=click.Choice(_TARGETS), required=True, help="The runtime or device that it is for."
)
@click.option(
    "--out", metavar="PATH", help="What to write. Default: MODEL's name with the target's suffix, here."
)
@click.option(
    "--data",
    metavar="DIR",
    help="Photos to compare on, up to 8, and to calibrate with, up to 200, in a recipe. Default: seeded noise.",
)
@click.option(
    "--input-shape",
    metavar="SIZES",
    default="",
    help='Sizes for inputs that have open ones: "1x3x224x224", or "a=1x3x224x224,b=1x2" for several. All targets but '
    "openvino need them; litert and ncnn take any batch.",
)
@output_options
def export(
    output: Output, *, model: str, target: str, out: str | None, data: str | None, input_shape: str
) -> int:
    """Turn a network into another runtime's file, checked against the original.

    MODEL is a bundle that `edgeproof fit` made, or what `edgeproof import` reads. It becomes NAME.xml and NAME.bin for
    openvino, NAME.tflite for litert, NAME.ncnn.param and NAME.ncnn.bin for ncnn, NAME.plan for tensorrt. First the
    target is asked which nodes it can't take: where there are any, they are named and nothing is written. Then the
    original runs in ONNX Runtime and the outcome in its own runtime, on the same inputs; the verdict is ok, differs, or
    not checked where that runtime isn't installed. An outcome that differs is written as NAME.differs.SUFFIX, with the
    input that shows it in NAME.differs.npz, and the exit code is 1.

    For ascend, edgetpu, and tensorrt where TensorRT isn't installed, the outcome is a recipe: a folder NAME.ascend (or
    alike) with the network made ready, tensors to calibrate with, the command to run on the device, and a script that
    checks what it makes.

    \b
    Examples:
      edgeproof export net.onnx --to openvino --data ~/Pictures
      edgeproof export orientation.edge --to litert --out orientation.tflite
      edgeproof export net.onnx --to ascend --data ~/Pictures --input-shape 1x3x640x640
    """
    from edgeproof.verify.exporting import export_network

    result = export_network(model, target, out, data=data, input_shape=input_shape, say=output.say)
    output.document({**result.as_json(), "target": target})
    show_conversion(output, model, result)
    return 1 if result.check.verdict == "differs" else 0
