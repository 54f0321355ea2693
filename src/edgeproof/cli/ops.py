"""`edgeproof ops`."""

from __future__ import annotations

import click

from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output

# As in formats/support.py, which only loads when the command runs.
_RUNTIMES = ("onnxruntime", "openvino", "opencv", "litert", "ncnn", "tensorrt", "ascend", "edgetpu")


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--for", "engine", type=click.Choice(_RUNTIMES), help="Only this runtime. Default: all.")
@output_options
def ops(output: Output, *, model: str, engine: str | None) -> int:
    """Say which nodes of a network a runtime can't take, and what can be done about it.

    MODEL is a file of any format that `edgeproof import` reads. Each runtime that is installed tries it, LiteRT and
    ncnn by converting it: the verdict is ok or unsupported. For the others it is "not known", with the command that
    tells it on the device. Where a runtime wants fixed sizes, `edgeproof export --input-shape` gives them. With --for
    the exit code is 1 unless that runtime takes the whole network.

    \b
    Examples:
      edgeproof ops net.onnx
      edgeproof ops net.onnx --for openvino --json
    """
    from edgeproof.formats import format_of, read_network
    from edgeproof.formats.onnx import load_model
    from edgeproof.formats.support import supported_by

    # An ONNX file as it is, and not lifted as an import would: what the runtime will be given is asked about.
    network = load_model(model) if format_of(model) == "onnx" else read_network(model).model
    found = [supported_by(network, name) for name in ([engine] if engine else _RUNTIMES)]
    output.document({"model": model, "engines": [support.as_json() for support in found]})
    output.table(
        model,
        [".runtime", ".verdict", "why"],
        [[support.engine, support.verdict, support.reason] for support in found],
    )
    for support in found:
        if support.nodes:
            output.table(
                f"Not taken by {support.engine}",
                ["node", "operator", "what can be done"],
                [[node.node, node.operator, node.workaround] for node in support.nodes],
            )
    return 0 if engine is None or found[0].verdict == "ok" else 1
