"""How well objects are found, on pictures whose boxes are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeproof.core.errors import DataError, EdgeproofError
from edgeproof.imaging.find import find_photos
from edgeproof.library.detect.detector import Detector
from edgeproof.library.faces.faces import OF_ONE_PICTURE
from edgeproof.streams.ordered import map_ordered
from edgeproof.verify.mean_average_precision import Answered, MeanAveragePrecision, mean_average_precision
from edgeproof.verify.object_labels import check_classes, open_labels

# The curve needs weak candidates too: the average precision is over all thresholds.
LEAST = 0.001
# As the published evaluations of YOLOX and YOLOv8 do, or nearly: more than for use, as a curve wants every box.
OVERLAP = 0.65


@dataclass(frozen=True)
class EvaluatedObjects:
    """What `detect evaluate` found.

    Attributes:
        result: the figures.
        images: how many pictures were looked at.
        names: of the classes, where they are known.
        failures: pictures that couldn't be looked at; none of their objects counts as found.
    """

    result: MeanAveragePrecision
    images: int
    names: tuple[str, ...] | None
    failures: Sequence[tuple[str, EdgeproofError]]

    def as_json(self) -> dict[str, Any]:
        """CONTRACT's document; a figure without a box to find is null."""
        result = self.result
        return {
            "map": result.map,
            "ap50": result.ap50,
            "ap75": result.ap75,
            "by_size": result.by_size,
            "per_class": {self._name(place): value for place, value in result.per_class.items()},
            "per_class_ap50": {self._name(place): value for place, value in result.per_class_50.items()},
            "images": self.images,
            "boxes": result.boxes,
            "failures": [{"path": name, "error": error.as_json()} for name, error in self.failures],
        }

    def _name(self, place: int) -> str:
        return self.names[place] if self.names and place < len(self.names) else str(place)


def evaluate_objects(
    images: str | Path,
    labels: str | Path,
    detector: Detector,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> EvaluatedObjects:
    """Look at each picture of a folder and compare with the known boxes.

    Arguments:
        labels: a folder of YOLO's text files, one beside each picture's name, or a file of COCO's kind: then only the
            pictures that it lists count, and its categories are those of the same name, else in the order of their ids.
        detector: it should find weak candidates too: open it with a confidence of `LEAST`.
        progress: called with how many pictures are done, of how many.

    Raises:
        DataError: no pictures, no labels, or labels that don't fit the network.
        ModelError, EngineError: the detector can't be used.
    """
    folder, names = Path(images), detector.open().task.names
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", hint="--images is a folder of pictures.")
    photos = find_photos([folder])
    known = open_labels(labels, folder, names)
    photos = [photo for photo in photos if known.know(photo)]
    if not photos:
        raise DataError(
            f"There is no picture in {folder} that the labels are for.", hint="Check both folders."
        )

    def one(photo: Path) -> Answered | tuple[EdgeproofError, Path]:
        try:
            found = detector.look(photo)
        except OF_ONE_PICTURE as error:
            return error, photo
        truth = known.truth(photo, found.width or 1, found.height or 1)
        objects = found.detections
        return Answered(objects.xyxy, objects.confidence, objects.class_id, truth)

    answers: list[Answered] = []
    failures: list[tuple[str, EdgeproofError]] = []
    for answer in map_ordered(one, photos, workers=workers):
        if isinstance(answer, Answered):
            answers.append(answer)
        else:
            failures.append((str(answer[1]), answer[0]))
        progress(len(answers) + len(failures), len(photos))
    if not answers:
        raise DataError(
            f"None of the {len(photos)} pictures can be used. The first: {failures[0][1].message}",
            hint="--images is a folder of pictures.",
        )
    check_classes((answer.truth for answer in answers), detector.task.decoder.classes)
    return EvaluatedObjects(mean_average_precision(answers), len(answers), names, failures)
