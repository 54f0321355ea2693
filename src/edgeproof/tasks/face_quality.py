"""How well a face can be told from others, and why it should not be enrolled.

Four parts, each 0 to 1: size, sharpness, pose, brightness. 0.5 is the limit from which a face may be enrolled; the
score is the least of them, as one fault is enough. docs/how_to/recognise_faces.md has how the limits were found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import InputError
from edgeproof.core.faces import FaceDetections, FaceQuality
from edgeproof.imaging.align import TEMPLATE

Doubles = NDArray[np.float64]

# For each part, what is worth 0, 0.5 (the limit) and 1.
SIZE = (20.0, 60.0, 120.0)  # pixels, the box's shorter side
SHARPNESS = (0.0, 0.01, 0.03)  # see `_sharpness`
POSE = (75.0, 45.0, 15.0)  # degrees
DARK, BRIGHT = (10.0, 35.0, 70.0), (250.0, 215.0, 190.0)  # of 255
CLIPPED = (0.6, 0.3, 0.1)  # share of pixels

# How far the tip of the nose stands out, in distances between the eyes: 30 mm of 63 in a typical adult.
_NOSE = 0.48
# How far below its eyes a frontal face has its mouth, likewise, in the template of alignment; and its nose, by the
# landmarks that YuNet gives for faces of LFW, most of which look straight ahead (in the template it is 0.57).
_EYES, _MOUTH = TEMPLATE[:2], TEMPLATE[3:]
_MOUTH_BELOW = float((_MOUTH[:, 1].mean() - _EYES[:, 1].mean()) / np.linalg.norm(_EYES[1] - _EYES[0]))
_NOSE_BELOW = 0.66
# Integer weights of Rec. 601 luma, in 256ths.
_LUMA = np.array([77, 150, 29], dtype=np.uint32)
# The share of an aligned face's side that is left out all around: hair, background, the border of the picture.
_MARGIN = 0.15


def assess(
    pixels: NDArray[np.uint8], detections: FaceDetections, crops: NDArray[np.uint8]
) -> list[FaceQuality]:
    """Judge the faces of one picture.

    Arguments:
        pixels: uint8 (H, W, 3), the picture; its size says which faces are cut off.
        detections: with landmarks, in pixels of it.
        crops: uint8 (N, S, S, 3), the same faces aligned.

    Returns:
        one for each face. `measured` holds, beside the parts in their own units (pixels, a ratio, degrees, mean of
        255), yaw, pitch and roll in degrees (positive: to the right in the picture, up, clockwise), the distance
        between the eyes in pixels, and the share of pixels that are black or white.

    Raises:
        InputError: no landmarks, or another number of crops.
    """
    marks = detections.landmarks
    if marks is None or len(crops) != len(detections):
        landmarks = "without" if marks is None else "with"
        raise InputError(
            f"There are {len(detections)} faces {landmarks} landmarks, and {len(crops)} crops.",
            hint="Align the same faces first: align_faces(pixels, detections.landmarks).",
        )
    if not len(crops):
        return []
    inside = _inside(detections.boxes, pixels.shape[1], pixels.shape[0])
    grey = _grey(crops)
    sharp = _sharpness(grey)
    means = grey.mean(axis=(1, 2))
    clipped = ((grey <= 4) | (grey >= 251)).mean(axis=(1, 2))
    angles = estimate_pose(marks)
    eyes = np.linalg.norm(marks[:, 1] - marks[:, 0], axis=1)
    return [
        _judge(
            {
                "size": float(inside[i]),
                "sharpness": float(sharp[i]),
                "pose": float(abs(angles[i, :2]).max()),
                "brightness": float(means[i]),
                "yaw": float(angles[i, 0]),
                "pitch": float(angles[i, 1]),
                "roll": float(angles[i, 2]),
                "eye_distance": float(eyes[i]),
                "clipped": float(clipped[i]),
            }
        )
        for i in range(len(crops))
    ]


def _judge(measured: dict[str, float]) -> FaceQuality:
    parts = {
        "size": _part(measured["size"], SIZE),
        "sharpness": _part(measured["sharpness"], SHARPNESS),
        "pose": _part(measured["pose"], POSE),
        "brightness": min(
            _part(measured["brightness"], DARK),
            _part(measured["brightness"], BRIGHT),
            _part(measured["clipped"], CLIPPED),
        ),
    }
    return FaceQuality(min(parts.values()), parts, measured, tuple(_reasons(measured)))


def _part(value: float, marks: Sequence[float]) -> float:
    """0 at the first mark, 0.5 at the second, 1 at the third; the marks rise or fall."""
    order = np.sign(marks[2] - marks[0])
    return float(np.interp(value * order, np.array(marks) * order, (0.0, 0.5, 1.0)))


def _reasons(measured: dict[str, float]) -> list[str]:
    size, sharpness, brightness = (measured[name] for name in ("size", "sharpness", "brightness"))
    reasons = []
    if size < SIZE[1]:
        reasons.append(f"the face is {int(size)} pixels wide; {SIZE[1]:.0f} are needed")
    if sharpness < SHARPNESS[1]:
        reasons.append(f"the face is blurred: its sharpness is {sharpness:.4f}; {SHARPNESS[1]:g} is needed")
    reasons += [
        f"the face looks {abs(measured[name]):.0f} degrees {ways[measured[name] < 0]}; {POSE[1]:.0f} are allowed"
        for name, ways in (("yaw", ("to the side",) * 2), ("pitch", ("up", "down")))
        if abs(measured[name]) > POSE[1]
    ]
    if brightness < DARK[1]:
        reasons.append(f"the face is too dark: {brightness:.0f} of 255 on average; {DARK[1]:.0f} are needed")
    if brightness > BRIGHT[1]:
        reasons.append(f"the face is too bright: {brightness:.0f} of 255; {BRIGHT[1]:.0f} are allowed")
    if measured["clipped"] > CLIPPED[1]:
        reasons.append(
            f"{measured['clipped']:.0%} of the face is black or white without detail; {CLIPPED[1]:.0%} are allowed"
        )
    return reasons


def _inside(boxes: NDArray[np.float32], width: int, height: int) -> Doubles:
    """The shorter side of each box, of the part that lies in the picture."""
    limits = np.array([width, height], dtype=np.float64)
    low, high = np.clip(boxes[:, :2], 0, limits), np.clip(boxes[:, 2:], 0, limits)
    return np.asarray((high - low).min(axis=1), dtype=np.float64)


def _grey(crops: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The middle of each aligned face in grey."""
    edge = round(crops.shape[1] * _MARGIN)
    inner = crops[:, edge:-edge, edge:-edge].astype(np.uint32)
    return np.asarray((inner @ _LUMA) >> 8, dtype=np.int32)


def _sharpness(grey: NDArray[np.int32]) -> Doubles:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) in proportion to the face's own variance.

    The proportion makes it independent of contrast and light. It is taken of the aligned face, so a face that was
    small in its picture counts as blurred too.
    """
    middle = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    variance = (around - 4 * middle).var(axis=(1, 2))
    return np.asarray(variance / np.maximum(grey.var(axis=(1, 2)), 1.0), dtype=np.float64)


def estimate_pose(landmarks: NDArray[np.floating[Any]]) -> Doubles:
    """Yaw, pitch and roll in degrees, (N, 3), of faces by their landmarks (N, 5, 2).

    From where the tip of the nose stands between eyes and mouth on a head of typical proportions seen from afar: good
    to some 10 degrees, which is enough to tell a face from a profile.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    eyes, mouth = points[:, :2].mean(axis=1), points[:, 3:].mean(axis=1)
    down = mouth - eyes
    height = np.maximum(np.linalg.norm(down, axis=1, keepdims=True), 1e-6)
    down = down / height
    across = np.stack([down[:, 1], -down[:, 0]], axis=1)
    width = np.maximum(((points[:, 1] - points[:, 0]) * across).sum(axis=1), 1e-6)
    nose = points[:, 2] - eyes
    yaw = np.arctan2((nose * across).sum(axis=1), _NOSE * width)
    below = (nose * down).sum(axis=1) * _MOUTH_BELOW / height[:, 0]
    pitch = np.arctan((_NOSE_BELOW - below) / _NOSE)
    roll = np.arctan2(across[:, 1], across[:, 0])
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=1)), dtype=np.float64)
