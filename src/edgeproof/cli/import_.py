"""`edgeproof import`."""

from __future__ import annotations

import click

from edgeproof.cli.conversion import show_conversion
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output


@click.command("import")
@click.argument("source", metavar="SOURCE")
@click.option(
    "--out", metavar="FILE", help="The ONNX file to write. Default: SOURCE's name with .onnx, here."
)
@click.option(
    "--data",
    metavar="DIR",
    help="Photos to compare the original and its copy on, up to 8. Default: seeded noise.",
)
@click.option(
    "--input-shape",
    default="",
    metavar="SHAPE",
    help="For PyTorch sources that don't tell it: 1x3x224x224, Nx3x224x224 for any batch, or a=1x3x8x8,b=1x4.",
)
@click.option(
    "--random-weights",
    type=click.IntRange(0),
    metavar="SEED",
    help="For a Caffe .prototxt without its .caffemodel: weights by chance, to try its import, speed and memory.",
)
@output_options
def import_(
    output: Output,
    *,
    source: str,
    out: str | None,
    data: str | None,
    input_shape: str,
    random_weights: int | None,
) -> int:
    """Turn a network of another format into one ONNX file, and check it against the original.

    SOURCE is a file, which is read without running anything in it: .onnx; .caffemodel, with its .prototxt beside it;
    .tflite; .h5 or .keras; .pt2, .pt or .pth of PyTorch. Or the folder of a SavedModel, of which TensorFlow runs parts
    while it reads them. Or package.module:factory, your own Python code that makes a PyTorch network: it is imported,
    also from the current folder, and called.

    The original runs in the runtime of its own format, the copy in ONNX Runtime, on the same inputs; the verdict is
    ok, differs, or not checked where the original can't be run here. A copy that differs is written as
    NAME.differs.onnx, with the input that shows it in NAME.differs.npz, and the exit code is 1.

    \b
    Examples:
      edgeproof import old.onnx --out new.onnx
      edgeproof import ultraface.caffemodel --data ~/Pictures
      edgeproof import yolox.tflite --data ~/Pictures --json
      edgeproof import mynet.models:build --input-shape Nx3x224x224
      edgeproof import age.prototxt --random-weights 1
    """
    from edgeproof.verify.importing import import_network

    result = import_network(source, out, data=data, input_shape=input_shape, random_weights=random_weights)
    output.document(result.as_json())
    show_conversion(output, source, result)
    return 1 if result.check.verdict == "differs" else 0
