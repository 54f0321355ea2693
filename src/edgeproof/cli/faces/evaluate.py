"""`edgeproof faces evaluate`."""

from __future__ import annotations

from typing import Any

import click

from edgeproof.cli.faces.options import detector_options
from edgeproof.cli.options import output_options, workers_option
from edgeproof.cli.output import Output

_SHOWN = 20


@click.command()
@click.option(
    "--boxes", required=True, metavar="JSON", help="The known boxes: {file: [[x1,y1,x2,y2],...], ...}."
)
@click.option("--images", required=True, metavar="DIR", help="The folder that the files are in.")
@detector_options
@workers_option
@output_options
def evaluate(output: Output, *, boxes: str, images: str, faces: dict[str, Any], workers: int | None) -> int:
    """How well faces are found, on pictures with known boxes.

    AP50 is the area under the curve of precision against recall, a face being found where its box overlaps the known
    one by half (IoU 0.5). It is over all scores from 0.02 on; --confidence only sets where precision and recall are
    told. Pictures are never turned here.

    \b
    Examples:
      edgeproof faces evaluate --boxes facedet/boxes.json --images facedet/images
      edgeproof faces evaluate --boxes mine.json --images photos --model yunet-640 --json
    """
    from edgeproof.devices.host import usable_cores
    from edgeproof.library.faces import evaluate as library
    from edgeproof.tasks.face_detection import FaceDetector
    from edgeproof.verify.face_boxes import read_boxes

    truth = read_boxes(boxes)
    known = {name: value for name, value in faces.items() if name not in ("detector", "turn", "confidence")}
    confidence = faces["confidence"]
    FaceDetector(confidence=confidence)  # refused where it makes no sense, before any work
    with (
        FaceDetector(faces["detector"], **known, confidence=library.LEAST) as detector,
        output.progress() as step,
    ):
        found = library.evaluate_detector(
            truth,
            images,
            detector,
            confidence=confidence,
            workers=workers or usable_cores(),
            progress=lambda done, total: step("finding faces", done, total),
        )
    document = found.as_json()
    output.document(document)
    _show(output, document)
    for name, error in found.failures[:_SHOWN]:
        output.say(f"{name}: {error}", style="red")
    if len(found.failures) > _SHOWN:
        output.say(f"... and {len(found.failures) - _SHOWN} more; --json has them all.", style="red")
    return 1 if found.failures else 0


def _show(output: Output, document: dict[str, Any]) -> None:
    usual = document["at_confidence"]
    precision = "n/a" if usual["precision"] is None else f"{usual['precision']:.1%}"
    output.table(
        f"{document['faces']} faces in {document['images']} pictures",
        ("", ">value"),
        [
            ("AP50", f"{document['ap50']:.3f}"),
            ("found at all, at any score", f"{document['recall']:.1%}"),
            (f"found at a confidence of {usual['confidence']:g}", f"{usual['recall']:.1%}"),
            ("  right among those", precision),
        ],
    )
