"""`edgeproof detect evaluate`."""

from __future__ import annotations

from typing import Any

import click

from edgeproof.cli.detect_options import detector_options
from edgeproof.cli.options import output_options, workers_option
from edgeproof.cli.output import Output

_SHOWN = 40


@click.command()
@click.option("--images", required=True, metavar="DIR", help="The pictures.")
@click.option(
    "--labels",
    required=True,
    metavar="DIR|JSON",
    help="Their boxes: a folder of YOLO's text files (class cx cy w h), or a file of COCO's kind.",
)
@detector_options
@workers_option
@output_options
def evaluate(
    output: Output, *, images: str, labels: str, detector: dict[str, Any], workers: int | None
) -> int:
    """How well objects are found, on pictures with known boxes.

    The figures are COCO's: mAP over overlaps (IoU) of 0.5 to 0.95, and AP50 at one of 0.5, each the mean over the
    classes that there are; small boxes have up to 32 x 32 pixels, large ones over 96 x 96. All scores from 0.001 on
    count; overlapping boxes are suppressed from an IoU of 0.65 on, unless --iou says otherwise.

    \b
    Examples:
      edgeproof detect evaluate --images coco/images --labels coco/labels --model yolox-nano
      edgeproof detect evaluate --images val2017 --labels instances_val2017.json --model mine.onnx --json
    """
    from edgeproof.devices.host import usable_cores
    from edgeproof.library.detect.detector import Detector
    from edgeproof.library.detect.evaluate import LEAST, OVERLAP, evaluate_objects

    chosen = {**detector, "iou": detector["iou"] if detector["iou"] is not None else OVERLAP}
    with Detector(**chosen, confidence=LEAST) as finder, output.progress() as step:
        found = evaluate_objects(
            images,
            labels,
            finder,
            workers=workers or usable_cores(),
            progress=lambda done, total: step("finding objects", done, total),
        )
    document = found.as_json()
    output.document(document)
    _show_figures(output, document)
    for name, error in found.failures[:_SHOWN]:
        output.say(f"{name}: {error}", style="red")
    if len(found.failures) > _SHOWN:
        output.say(f"... and {len(found.failures) - _SHOWN} more; --json has them all.", style="red")
    return 1 if found.failures else 0


def _show_figures(output: Output, document: dict[str, Any]) -> None:
    def said(value: float | None) -> str:
        return "n/a" if value is None else f"{value:.3f}"

    rows = [
        ("mAP, IoU 0.5 to 0.95", said(document["map"])),
        ("AP50", said(document["ap50"])),
        ("AP75", said(document["ap75"])),
        *((f"mAP of {name} boxes", said(value)) for name, value in document["by_size"].items()),
    ]
    title = f"{document['boxes']} boxes in {document['images']} pictures"
    output.table(title, ("", ">value"), rows)
    classes = sorted(document["per_class"].items(), key=lambda row: -row[1])
    output.table(
        "mAP of each class", ("class", ">mAP"), [(name, said(value)) for name, value in classes[:_SHOWN]]
    )
    if len(classes) > _SHOWN:
        output.say(f"... and {len(classes) - _SHOWN} more; --json has them all.")
