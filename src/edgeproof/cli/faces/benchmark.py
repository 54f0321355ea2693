"""`edgeproof faces benchmark`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from edgeproof.cli.faces.options import faces_options
from edgeproof.cli.options import output_options
from edgeproof.cli.output import Output
from edgeproof.core.errors import UsageError


@click.command()
@click.option(
    "--input", "pictures", required=True, metavar="DIR", help="Pictures with faces: a folder, or a pattern."
)
@click.option(
    "--out", required=True, metavar="DIR", help="Where results.json, report.md and the INT8 bundle go."
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86_400),
    default=120.0,
    show_default=True,
    help="How long to measure; growth of memory and p99 need minutes.",
)
@click.option(
    "--pairs", metavar="CSV", help="Pairs with known answers (fold,a,b,same), to measure accuracy with."
)
@click.option("--images", metavar="DIR", help="The pictures of --pairs.")
@click.option("--mem-budget", metavar="SIZE", help="Memory that each pipelined way may have, such as 160MB.")
@faces_options
@output_options
def benchmark(
    output: Output,
    *,
    pictures: str,
    out: str,
    seconds: float,
    pairs: str | None,
    images: str | None,
    mem_budget: str | None,
    faces: dict[str, Any],
) -> int:
    """Measure finding and embedding faces on your pictures, here.

    One picture after the other in float32 on ONNX Runtime, against the pipeline: with the same networks, and with each
    faster form of the recogniser that can be had here and whose vectors stay the same (OpenVINO in float32 and bf16,
    and INT8 calibrated on your faces, sealed as OUT/recognizer-int8.edge). All take turns. The exit code is 1 when a
    way failed.

    \b
    Examples:
      edgeproof faces benchmark --input ~/Pictures --out measured
      edgeproof faces benchmark --input photos --out measured --seconds 600 --mem-budget 160MB
      edgeproof faces benchmark --input lfw --out measured --pairs pairs.csv --images lfw
    """
    import msgspec

    from edgeproof.core.files import check_writable, write_atomically
    from edgeproof.core.sizes import parse_size
    from edgeproof.devices.host import describe_host, usable_cores
    from edgeproof.library.faces import benchmark as library
    from edgeproof.library.faces.benchmark_page import COLUMNS, page, table_rows
    from edgeproof.streams.sources import frames, kind_of

    if (pairs is None) != (images is None):
        raise UsageError("--pairs and --images belong together.", hint="Give both, or none.")
    if kind_of(pictures) != "photos":
        raise UsageError(
            f"{pictures} is no folder of pictures.", hint="Give a folder, or a pattern in quotes."
        )
    budget = parse_size(mem_budget) if mem_budget else None
    target = Path(out)
    check_writable(target / "results.json")
    photos = [frame.path for frame in frames(pictures) if frame.path]
    started = time.monotonic()
    with output.progress() as step:
        step("making faster forms", 0, 1)
        found = library.find_candidates(photos, faces, target)
        step("making faster forms", 1, 1)
        ways = library.plan(faces, found, budget)
        library.measure(
            ways, photos, seconds=seconds, progress=lambda done: step("measuring", round(100 * done), 100)
        )
        for number, way in enumerate(ways if pairs else []):
            step("judging on pairs", number, len(ways))
            if way.error is None:
                way.accuracy = library.verified(way, str(pairs), str(images), workers=usable_cores())
    best, serial = library.best_of(ways), ways[0]
    document = {
        "host": msgspec.to_builtins(describe_host()),
        "input": pictures,
        "images": len(photos),
        "faces_per_image": serial.faces / max(serial.images, 1),
        "seconds": round(time.monotonic() - started, 1),
        "ways": [way.as_json(serial) for way in ways],
        "candidates": [one.as_json() for one in found],
        "best": best.id if best else None,
        "report": str(target / "report.md"),
    }
    write_atomically(target / "results.json", (json.dumps(document, indent=1) + "\n").encode())
    write_atomically(target / "report.md", page(document).encode())
    output.document(document)
    shown = [
        COLUMNS.index(name)
        for name in (".way", ">images/s", ">times serial", ">p50 ms", ">peak MB", ">accuracy")
    ]
    rows = [tuple(row[place] for place in shown) for row in table_rows([way.as_json(serial) for way in ways])]
    output.table(f"{len(photos)} pictures", [COLUMNS[place] for place in shown], rows)
    for one in found:
        if one.refused:
            output.say(f"Not used: {one.id}: {one.refused}", style="yellow")
    for way in ways:
        if way.error is not None:
            output.say(f"{way.id}: {way.error}", style="red")
    output.say(f"The report is {target / 'report.md'}; the raw figures are beside it.")
    return 1 if any(way.error for way in ways) else 0
