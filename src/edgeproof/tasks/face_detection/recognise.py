"""Which decoder a network needs: told by its outputs, or named. To add one: a file with a `Decoder`, and a row here."""

from __future__ import annotations

from collections.abc import Sequence

from edgeproof.core.errors import ModelError, UnknownNameError, did_you_mean
from edgeproof.core.tensor import TensorSpec
from edgeproof.tasks.face_detection.decoder import Decoder
from edgeproof.tasks.face_detection.retinaface import RetinaFace, RetinaFaceSmall
from edgeproof.tasks.face_detection.scrfd import Scrfd
from edgeproof.tasks.face_detection.ssd import Ssd
from edgeproof.tasks.face_detection.ultraface import UltraFace, UltraFaceOffsets
from edgeproof.tasks.face_detection.yunet import YuNet

DECODERS: dict[str, type[Decoder]] = {
    kind.name: kind for kind in (YuNet, RetinaFace, RetinaFaceSmall, Scrfd, UltraFace, UltraFaceOffsets, Ssd)
}


def recognise(outputs: Sequence[TensorSpec], name: str | None = None) -> Decoder:
    """The decoder for a network with these outputs.

    Arguments:
        outputs: of the network, in its order.
        name: the decoder to take; None: the first that fits.

    Raises:
        UnknownNameError: no decoder of that name.
        ModelError: none fits, or not the one that was named.
    """
    if name is not None and name not in DECODERS:
        raise UnknownNameError(f"There is no decoder {name!r}.", hint=did_you_mean(name, DECODERS))
    for kind in [DECODERS[name]] if name else DECODERS.values():
        found = kind.match(outputs)
        if found is not None:
            return found
    families = {kind.expects: kind.name for kind in reversed(DECODERS.values())}
    wanted = [DECODERS[name]] if name else [DECODERS[first] for first in reversed(families.values())]
    raise ModelError(
        f"No decoder of face detectors fits this network: its outputs are {', '.join(map(str, outputs))}.",
        hint="Expected, " + "; ".join(f"for {kind.name}: {kind.expects}" for kind in wanted) + ".",
    )
