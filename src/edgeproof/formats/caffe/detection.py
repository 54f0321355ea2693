"""The layers of SSD (Liu et al. 2016, github.com/weiliu89/caffe, branch ssd): PriorBox and DetectionOutput."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgeproof.formats.caffe.graph import Builder
from edgeproof.formats.caffe.net import Layer


def _steps(layer: Layer, image: tuple[int, int], cells: tuple[int, int]) -> tuple[float, float]:
    params = layer.params
    one = params.number("step", 0.0)
    steps = (params.number("step_h", one), params.number("step_w", one))
    if all(steps):
        return steps
    return image[0] / cells[0], image[1] / cells[1]


def _box_sizes(layer: Layer) -> list[tuple[float, float]]:
    # The order of prior_box_layer.cpp: for each min_size the square, the one with max_size, then the ratios.
    params = layer.params
    least, most = params.numbers("min_size"), params.numbers("max_size")
    if not least or (most and len(most) != len(least)):
        raise params.error(
            f"{len(least)} min_size and {len(most)} max_size", "Give a max_size for each, or none."
        )
    if min(least) <= 0 or any(b <= a for a, b in zip(least, most, strict=False)):
        raise params.error("a min_size is not above 0, or not below its max_size")
    ratios = [1.0]
    for ratio in params.numbers("aspect_ratio"):
        if ratio <= 0:
            raise params.error(f"aspect_ratio is {ratio}")
        if all(abs(ratio - known) >= 1e-6 for known in ratios):
            ratios += [ratio, 1 / ratio] if params.flag("flip", True) else [ratio]
    sizes = []
    for place, size in enumerate(least):
        sizes.append((size, size))
        if most:
            middle = math.sqrt(size * most[place])
            sizes.append((middle, middle))
        sizes += [(size * math.sqrt(ratio), size / math.sqrt(ratio)) for ratio in ratios[1:]]
    return sizes


def prior_box(build: Builder, layer: Layer) -> None:
    """PriorBox: (1, 2, boxes * 4), a constant: the boxes as shares of the picture, then their variances."""
    params = layer.params
    bottom, picture = build.bottoms(layer, 2)
    if len(bottom.shape) != 4 or len(picture.shape) != 4:
        raise params.error("its bottoms have to have 4 axes")
    sizes = _box_sizes(layer)
    cells = (bottom.shape[2], bottom.shape[3])
    build.may_hold(layer, cells[0] * cells[1] * len(sizes) * 8)
    side = params.integer("img_size", 0)
    image = (
        params.integer("img_h", side) or picture.shape[2],
        params.integer("img_w", side) or picture.shape[3],
    )
    step = _steps(layer, image, cells)
    offset = params.number("offset", 0.5)
    middle_y = (np.arange(cells[0]) + offset) * step[0]
    middle_x = (np.arange(cells[1]) + offset) * step[1]
    boxes = np.empty((*cells, len(sizes), 4), np.float32)
    for place, (width, height) in enumerate(sizes):
        boxes[:, :, place, 0] = ((middle_x - width / 2) / image[1])[None, :]
        boxes[:, :, place, 1] = ((middle_y - height / 2) / image[0])[:, None]
        boxes[:, :, place, 2] = ((middle_x + width / 2) / image[1])[None, :]
        boxes[:, :, place, 3] = ((middle_y + height / 2) / image[0])[:, None]
    if params.flag("clip", False):  # caffe.proto's default; OpenCV clips unless told not to
        np.clip(boxes, 0, 1, out=boxes)
    spread = _variances(layer)
    both = np.stack([boxes.reshape(-1), np.broadcast_to(spread, (boxes.size // 4, 4)).reshape(-1)])[None]
    top = build.bind(layer, both.shape, batched=False)
    build.node("Identity", [build.constant(layer, both.astype(np.float32), "boxes")], [top])


def _variances(layer: Layer) -> NDArray[np.float32]:
    values = layer.params.numbers("variance") or [0.1]
    if len(values) not in (1, 4) or min(values) <= 0:
        raise layer.params.error(f"variance is {values[:8]}", "Give 1 or 4 numbers above 0.")
    return np.asarray(values if len(values) == 4 else values * 4, np.float32)


def detection_output(build: Builder, layer: Layer) -> None:
    """DetectionOutput: rows of (image, label, score, x1, y1, x2, y2), the best score first.

    As detection_output_layer.cpp: of each class the `top_k` best over the threshold, non-maximum suppression,
    then the `keep_top_k` best of all. Boxes are shares of the picture.
    """
    params = layer.params
    places, scores, priors = build.bottoms(layer, 3)
    classes = params.integer("num_classes", 0, low=0, high=1 << 16)
    background = params.integer("background_label_id", 0, low=-1)
    labels = [label for label in range(classes) if label != background]
    boxes = priors.shape[-1] // 4
    if priors.shape != (1, 2, boxes * 4) or priors.batched:
        raise params.error(f"its third bottom has the shape {list(priors.shape)}, expected (1, 2, boxes * 4)")
    if not params.flag("share_location", True):
        raise params.error("share_location: false can't be imported", "End the network before it.")
    if not labels or places.shape[0] != 1 or math.prod(places.shape) != boxes * 4:
        raise params.error(
            f"locations {list(places.shape)} for {boxes} boxes and 1 picture, {classes} classes"
        )
    if math.prod(scores.shape) != boxes * classes:
        raise params.error(f"scores {list(scores.shape)} for {boxes} boxes of {classes} classes")
    build.fix_batch(layer)
    nms = params.inside("nms_param")
    if nms.number("eta", 1.0) != 1.0:
        raise params.error("eta other than 1 can't be imported", "Leave it out.")
    kept, best = params.integer("keep_top_k", -1, low=-1), nms.integer("top_k", -1, low=-1)
    decoded = _decode(build, layer, places.tensor, priors.tensor, boxes)

    table = build.step(layer, "Reshape", [scores.tensor, build.integers(layer, [boxes, classes])])
    by_class = build.step(layer, "Transpose", [table], perm=[1, 0])
    wanted = build.step(layer, "Gather", [by_class, build.integers(layer, labels, "labels")], axis=0)
    # Each class is one "image" of NonMaxSuppression, which then sees only the class's own best boxes.
    count = min(best, boxes) if best > 0 else boxes
    top_scores, top_places = (f"{wanted}/{name}" for name in ("scores", "places"))
    build.node("TopK", [wanted, build.integers(layer, [count])], [top_scores, top_places], axis=1)
    top_boxes = build.step(layer, "Gather", [decoded, top_places], axis=0)
    threshold = params.number("confidence_threshold", -3.0e38)
    chosen = build.step(
        layer,
        "NonMaxSuppression",
        [
            top_boxes,
            build.step(layer, "Unsqueeze", [top_scores, build.integers(layer, [1], "axes")]),
            build.integers(layer, [count]),
            build.constant(layer, np.asarray([nms.number("nms_threshold", 0.3)], np.float32)),
            build.constant(layer, np.asarray([threshold], np.float32)),
        ],
    )
    columns = build.integers(layer, [0, 2], "columns")
    pairs = build.step(layer, "Gather", [chosen, columns], axis=1)
    score = build.step(layer, "GatherND", [top_scores, pairs])
    pairs, score = _best(build, layer, pairs, score, kept)
    box = build.step(layer, "GatherND", [top_boxes, pairs])
    one = build.integers(layer, [1], "axes")
    first = build.step(layer, "Gather", [pairs, build.constant(layer, np.int64(0))], axis=1)
    label = build.step(
        layer, "Gather", [build.constant(layer, np.asarray(labels, np.float32), "labels"), first], axis=0
    )
    label, score = (build.step(layer, "Unsqueeze", [name, one]) for name in (label, score))
    image = build.step(layer, "Sub", [label, label])
    rows = build.step(layer, "Concat", [image, label, score, box], axis=1)
    top = build.bind(layer, (1, 1, kept if kept > 0 else boxes * len(labels), 7), batched=False)
    build.node("Unsqueeze", [rows, build.integers(layer, [0, 1], "axes")], [top])
    build.open_axes[top] = 2


def _best(build: Builder, layer: Layer, pairs: str, score: str, kept: int) -> tuple[str, str]:
    """The rows of the `kept` best scores (all at 0 or less), best first, and these scores."""
    count = build.step(layer, "Shape", [score])
    if kept > 0:
        count = build.step(layer, "Min", [count, build.integers(layer, [kept])])
    best, order = (f"{score}/{name}" for name in ("best", "order"))
    build.node("TopK", [score, count], [best, order], axis=0)
    return build.step(layer, "Gather", [pairs, order], axis=0), best


def _decode(build: Builder, layer: Layer, places: str, priors: str, boxes: int) -> str:
    """(boxes, 4) corners as shares of the picture."""
    params = layer.params
    code = params.choice("code_type", ("", "CORNER", "CENTER_SIZE")) or "CORNER"
    offsets = build.step(layer, "Reshape", [places, build.integers(layer, [boxes, 4])])
    table = build.step(layer, "Reshape", [priors, build.integers(layer, [2, boxes, 4])])
    prior, spread = (
        build.step(layer, "Gather", [table, build.constant(layer, np.int64(row))], axis=0) for row in (0, 1)
    )
    if not params.flag("variance_encoded_in_target", False):
        offsets = build.step(layer, "Mul", [offsets, spread])
    if code == "CORNER":
        corners = build.step(layer, "Add", [prior, offsets])
    else:

        def half(name: str, which: int) -> str:
            sizes = [build.integers(layer, [value]) for value in (2 * which, 2 * which + 2, 1)]
            return build.step(layer, "Slice", [name, *sizes])

        low, high = half(prior, 0), half(prior, 1)
        two = build.constant(layer, np.float32(0.5))
        size = build.step(layer, "Sub", [high, low])
        middle = build.step(layer, "Mul", [build.step(layer, "Add", [low, high]), two])
        centre = build.step(layer, "Add", [build.step(layer, "Mul", [half(offsets, 0), size]), middle])
        grown = build.step(layer, "Mul", [build.step(layer, "Exp", [half(offsets, 1)]), size])
        reach = build.step(layer, "Mul", [grown, two])
        ends = [build.step(layer, kind, [centre, reach]) for kind in ("Sub", "Add")]
        corners = build.step(layer, "Concat", ends, axis=1)
    if not params.flag("clip", False):
        return corners
    limits = [build.constant(layer, np.float32(end)) for end in (0, 1)]
    return build.step(layer, "Clip", [corners, *limits])
