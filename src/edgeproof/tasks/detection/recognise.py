"""Which decoder a network needs: told by its outputs, or named. To add one: a file with a `Decoder`, and a row here."""

from __future__ import annotations

from edgeproof.core.errors import ModelError, UnknownNameError, did_you_mean
from edgeproof.tasks.detection.decoder import Decoder, Known
from edgeproof.tasks.detection.end_to_end import EndToEnd
from edgeproof.tasks.detection.fastestdet import FastestDet
from edgeproof.tasks.detection.nanodet import NanoDet
from edgeproof.tasks.detection.retinanet import BoxLists, RetinaNet
from edgeproof.tasks.detection.ssd import Ssd, SsdLists
from edgeproof.tasks.detection.yolo import Yolo, YoloHeads
from edgeproof.tasks.detection.yolov5 import YoloV5, YoloV5Heads, YoloV7Heads
from edgeproof.tasks.detection.yolox import YoloX, YoloXDecoded

_KINDS: tuple[type[Decoder], ...] = (
    EndToEnd,
    Ssd,
    YoloV5,
    Yolo,
    YoloX,
    YoloXDecoded,
    NanoDet,
    FastestDet,
    YoloHeads,
    YoloV5Heads,
    YoloV7Heads,
    SsdLists,
    BoxLists,
    RetinaNet,
)
# In this order: where two families look alike, the first is taken, and the other has to be named.
DECODERS: dict[str, type[Decoder]] = {kind.name: kind for kind in _KINDS}


def recognise(known: Known, name: str | None = None) -> Decoder:
    """The decoder for a network.

    Arguments:
        name: the decoder to take; None: the first that fits.

    Raises:
        UnknownNameError: no decoder of that name.
        ModelError: none fits, or not the one that was named.
    """
    if name is not None and name not in DECODERS:
        raise UnknownNameError(f"There is no decoder {name!r}.", hint=did_you_mean(name, DECODERS))
    wanted = [DECODERS[name]] if name else list(DECODERS.values())
    for kind in wanted:
        found = kind.match(known, named=name is not None)
        if found is not None:
            return found
    size = f" for an input of {known.size[0]} x {known.size[1]} pixels" if known.size else ""
    raise ModelError(
        f"No decoder of detectors fits this network: its outputs are {', '.join(map(str, known.outputs))}{size}.",
        hint="Expected, " + "; ".join(f"for {kind.name}: {kind.expects}" for kind in wanted) + ".",
    )
