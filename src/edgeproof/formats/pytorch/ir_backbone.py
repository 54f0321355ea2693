"""The IR backbones of ArcFace and CurricularFace (Deng et al. 2019, Huang et al. 2020), rebuilt from their weights.

A residual network for faces of 112 x 112 (the "improved residual" unit of Deng et al. 2019, section 3.1): IR-50 has
3, 4, 14 and 3 units of 64, 128, 256 and 512 channels, IR-101 has 3, 13, 30 and 3. The names are those that
CurricularFace, TFace and face.evoLVe publish; how many units there are, and whether they have squeeze-and-excitation
(Hu et al. 2018) or one more batch norm, is read from the weights. Classes are made in functions, as PyTorch is there
only when they are called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeproof.core.errors import ModelError
from edgeproof.formats.graph import first_line

UNITS = {"IR-50": (3, 4, 14, 3), "IR-101": (3, 13, 30, 3)}
WIDTHS = (64, 128, 256, 512)
_HINT = "IR-50, IR-101 and their like are known; for another network, give package.module:factory."


@dataclass(frozen=True)
class IrShape:
    """What distinguishes one of these networks from another.

    Attributes:
        units: channels in and out of each unit.
        places: the side of the last feature map.
        dimensions: how long the vector is.
        squeeze: whether units end with squeeze-and-excitation.
        normed: whether there is a batch norm after each unit's first convolution too.
        affine: whether the last batch norm has weights.
    """

    units: tuple[tuple[int, int], ...]
    places: int = 7
    dimensions: int = 512
    squeeze: bool = False
    normed: bool = False
    affine: bool = False

    @property
    def side(self) -> int:
        """Of the face that it sees, in pixels."""
        return self.places << sum(map(self.halves, range(len(self.units))))

    def halves(self, unit: int) -> bool:
        """Whether a unit halves the resolution: the first one, and each that changes the channels."""
        given, made = self.units[unit]
        return unit == 0 or given != made


def published_shape(counts: Sequence[int], widths: Sequence[int] = WIDTHS, **more: Any) -> IrShape:
    """The shape of stages of so many units, of so many channels each."""
    given = [widths[0], *widths[:-1]]
    stages = zip(counts, given, widths, strict=True)
    units = [pair for count, one, two in stages for pair in [(one, two), *[(two, two)] * (count - 1)]]
    return IrShape(tuple(units), **more)


def is_ir_backbone(names: Mapping[str, object]) -> bool:
    """Whether a state dict has the parts of an IR backbone."""
    parts = {name.partition(".")[0] for name in names}
    return parts == {"input_layer", "body", "output_layer"} and "body.0.res_layer.1.weight" in names


def ir_backbone(torch: Any, weights: Mapping[str, Any], source: str) -> Any:
    """The network with its weights, as an nn.Module: float32 (N, 3, S, S) to (N, D), not normalised.

    Raises:
        ModelError: the weights don't fit one.
    """
    try:
        network = ir_network(torch, _shape(weights))
        counts = {
            name: value
            for name, value in network.state_dict().items()
            if name.endswith("num_batches_tracked")
        }
        network.load_state_dict({**counts, **weights}, strict=True)
    except (KeyError, IndexError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        reason = lines[1] if len(lines) > 1 else first_line(error)
        raise ModelError(
            f"{source} has the names of an IR backbone, but its weights don't fit: {reason[:300]}", hint=_HINT
        ) from error
    return network.eval()


def _shape(weights: Mapping[str, Any]) -> IrShape:
    count = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("body."))
    units = [tuple(weights[f"body.{unit}.res_layer.1.weight"].shape[1::-1]) for unit in range(count)]
    dimensions, features = weights["output_layer.3.weight"].shape
    return IrShape(
        units=tuple((int(given), int(made)) for given, made in units),
        places=math.isqrt(int(features) // int(units[-1][1])),
        dimensions=int(dimensions),
        squeeze=any(name.endswith(".fc1.weight") for name in weights),
        normed="body.0.res_layer.2.running_mean" in weights,
        affine="output_layer.4.weight" in weights,
    )


def ir_network(torch: Any, shape: IrShape) -> Any:
    """An IR backbone without weights of its own, as an nn.Module in training mode."""
    nn = torch.nn
    first = shape.units[0][0]

    class Network(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.input_layer = nn.Sequential(
                nn.Conv2d(3, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
            )
            self.body = nn.Sequential(*(_unit(torch, shape, number) for number in range(len(shape.units))))
            made = shape.units[-1][1]
            self.output_layer = nn.Sequential(
                nn.BatchNorm2d(made),
                nn.Dropout(0.4),
                nn.Flatten(),
                nn.Linear(made * shape.places**2, shape.dimensions),
                nn.BatchNorm1d(shape.dimensions, affine=shape.affine),
            )

        def forward(self, x: Any) -> Any:
            return self.output_layer(self.body(self.input_layer(x)))

    network = Network()
    network.side = shape.side
    network.description = f"{len(shape.units)} units, {shape.side} x {shape.side} to {shape.dimensions}"
    return network


def _unit(torch: Any, shape: IrShape, number: int) -> Any:
    nn = torch.nn
    given, made = shape.units[number]
    stride = 2 if shape.halves(number) else 1

    class Squeeze(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Conv2d(made, made // 16, 1, bias=False)
            self.fc2 = nn.Conv2d(made // 16, made, 1, bias=False)

        def forward(self, x: Any) -> Any:
            return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()

    class Unit(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            # A pool of one place is a step of `stride`: the names have no weights for it.
            self.shortcut_layer = (
                nn.MaxPool2d(1, stride)
                if given == made
                else nn.Sequential(nn.Conv2d(given, made, 1, stride, bias=False), nn.BatchNorm2d(made))
            )
            self.res_layer = nn.Sequential(
                nn.BatchNorm2d(given),
                nn.Conv2d(given, made, 3, 1, 1, bias=False),
                *([nn.BatchNorm2d(made)] if shape.normed else []),
                nn.PReLU(made),
                nn.Conv2d(made, made, 3, stride, 1, bias=False),
                nn.BatchNorm2d(made),
                *([Squeeze()] if shape.squeeze else []),
            )

        def forward(self, x: Any) -> Any:
            return self.res_layer(x) + self.shortcut_layer(x)

    return Unit()
