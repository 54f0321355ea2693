"""RetinaFace (Deng et al. 2020, arXiv 1905.00641), rebuilt from the names and shapes of its published weights.

The parts: a body that gives three feature maps at strides 8, 16 and 32 (MobileNetV1 at a quarter width, or
ResNet-50), a feature pyramid (Lin et al. 2017), a context module on each level (SSH, Najibi et al. 2017), and three
1x1 heads for 2 anchors a place. Classes are made in functions, as PyTorch is there only when they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeproof.core.errors import ModelError
from edgeproof.formats.graph import first_line

_ANCHORS = 2
# A variance; of channels that live the smallest is above 1e-5 in the published weights of both kinds.
_DEAD = 1e-12
_HEADS = {"BboxHead": ("bbox", 4), "ClassHead": ("confidence", 2), "LandmarkHead": ("landmark", 10)}


def is_retinaface(names: Mapping[str, object]) -> bool:
    """Whether a state dict has RetinaFace's parts."""
    parts = {name.partition(".")[0] for name in names}
    return {"body", "fpn", "ssh1", "ssh2", "ssh3", *_HEADS} <= parts


def retinaface(torch: Any, weights: Mapping[str, Any], source: str) -> Any:
    """The network with its weights, as an nn.Module: float32 (N, 3, H, W), BGR less its mean (104, 117, 123).

    It answers bbox (N, anchors, 4), confidence (N, anchors, 2; background, face) and landmark (N, anchors, 10), for
    2 anchors at each place of strides 8, 16 and 32, as offsets from the anchors.

    Raises:
        ModelError: the weights don't fit either body.
    """
    widths = [
        weights[name].shape[:2]
        for name in (f"fpn.output{level}.0.weight" for level in (1, 2, 3))
        if name in weights
    ]
    if len(widths) != 3:
        raise ModelError(
            f"{source} has RetinaFace's names, but no whole pyramid.", hint="Use one of its published files."
        )
    out = int(widths[0][0])
    # Published narrow forms were trained with leaky units or without, and their weights have the same names.
    slope = 0.1 if out <= 64 and not _has_dead_channels(weights) else 0.0
    body = _resnet50(torch) if "body.conv1.weight" in weights else _mobilenet(torch, slope)
    network = _network(torch, body, [int(width[1]) for width in widths], out, slope)
    # Files of PyTorch before 0.4.1 don't count batches, and ImageNet's classifier is of no use here.
    kept = {name: value for name, value in weights.items() if not name.startswith("body.fc.")}
    counts = {
        name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")
    }
    try:
        network.load_state_dict({**counts, **kept}, strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        reason = lines[1] if len(lines) > 1 else first_line(error)
        raise ModelError(
            f"{source} has RetinaFace's names, but its weights don't fit: {reason[:300]}",
            hint="MobileNet0.25 and ResNet-50 bodies are known; for another, give package.module:factory.",
        ) from error
    kind = "ResNet-50" if "body.conv1.weight" in weights else "MobileNet0.25"
    units = "leaky ReLU" if slope else "ReLU"
    network.description = f"{kind} body, {out} channels, {units}"
    return network.eval()


def _has_dead_channels(weights: Mapping[str, Any]) -> bool:
    """Whether a channel never varied in training: with a plain ReLU one can end as always 0, with a leaky one not."""
    spreads = [
        value for name, value in weights.items() if name.startswith("body.") and name.endswith("running_var")
    ]
    return any(bool((spread < _DEAD).any()) for spread in spreads)


def _conv(
    torch: Any, given: int, made: int, size: int, *, stride: int = 1, slope: float | None = None
) -> Any:
    """Convolution and batch norm, and a leaky ReLU where there is a slope."""
    nn = torch.nn
    layers = [nn.Conv2d(given, made, size, stride, size // 2, bias=False), nn.BatchNorm2d(made)]
    return nn.Sequential(*layers, *([nn.LeakyReLU(slope)] if slope is not None else []))


def _mobilenet(torch: Any, slope: float) -> Any:
    nn = torch.nn

    def separable(given: int, made: int, stride: int) -> Any:
        deep = nn.Conv2d(given, given, 3, stride, 1, groups=given, bias=False)
        point = nn.Conv2d(given, made, 1, bias=False)
        norms = nn.BatchNorm2d(given), nn.BatchNorm2d(made)
        return nn.Sequential(deep, norms[0], nn.LeakyReLU(slope), point, norms[1], nn.LeakyReLU(slope))

    # MobileNetV1's table (Howard et al. 2017) at width 0.25, cut where the stride grows to 16 and 32.
    first = [_conv(torch, 3, 8, 3, stride=2, slope=slope)]
    first += [separable(*row) for row in ((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1))]
    second = [separable(64, 128, 2), *(separable(128, 128, 1) for _ in range(5))]
    third = [separable(128, 256, 2), separable(256, 256, 1)]

    class Body(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.stage1, self.stage2, self.stage3 = (
                nn.Sequential(*stage) for stage in (first, second, third)
            )

        def forward(self, x: Any) -> list[Any]:
            one = self.stage1(x)
            two = self.stage2(one)
            return [one, two, self.stage3(two)]

    return Body()


def _resnet50(torch: Any) -> Any:
    nn = torch.nn

    class Bottleneck(nn.Module):  # type: ignore[misc,name-defined]
        """He et al. 2016, with the stride in the 3x3 convolution."""

        def __init__(self, given: int, width: int, stride: int) -> None:
            super().__init__()
            made = 4 * width
            self.conv1, self.bn1 = nn.Conv2d(given, width, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
            self.conv3, self.bn3 = nn.Conv2d(width, made, 1, bias=False), nn.BatchNorm2d(made)
            if stride != 1 or given != made:
                self.downsample = nn.Sequential(
                    nn.Conv2d(given, made, 1, stride, bias=False), nn.BatchNorm2d(made)
                )
            else:
                self.downsample = nn.Identity()

        def forward(self, x: Any) -> Any:
            y = self.bn1(self.conv1(x)).relu()
            y = self.bn2(self.conv2(y)).relu()
            return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()

    def stage(given: int, width: int, count: int, stride: int) -> Any:
        rest = [Bottleneck(4 * width, width, 1) for _ in range(count - 1)]
        return nn.Sequential(Bottleneck(given, width, stride), *rest)

    class Body(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            self.layer1, self.layer2 = stage(64, 64, 3, 1), stage(256, 128, 4, 2)
            self.layer3, self.layer4 = stage(512, 256, 6, 2), stage(1024, 512, 3, 2)

        def forward(self, x: Any) -> list[Any]:
            two = self.layer2(self.layer1(self.maxpool(self.bn1(self.conv1(x)).relu())))
            three = self.layer3(two)
            return [two, three, self.layer4(three)]

    return Body()


def _pyramid(torch: Any, given: list[int], out: int, slope: float) -> Any:
    nn = torch.nn

    class Pyramid(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.output1, self.output2, self.output3 = (
                _conv(torch, width, out, 1, slope=slope) for width in given
            )
            self.merge1, self.merge2 = (_conv(torch, out, out, 3, slope=slope) for _ in range(2))

        def forward(self, levels: list[Any]) -> list[Any]:
            fine, middle, coarse = self.output1(levels[0]), self.output2(levels[1]), self.output3(levels[2])
            grow = nn.functional.interpolate
            middle = self.merge2(middle + grow(coarse, size=middle.shape[2:], mode="nearest"))
            fine = self.merge1(fine + grow(middle, size=fine.shape[2:], mode="nearest"))
            return [fine, middle, coarse]

    return Pyramid()


def _context(torch: Any, width: int, slope: float) -> Any:
    """SSH: windows of 3, 5 and 7, the larger ones as chains of 3x3; the names are the weights' own."""
    half, quarter = width // 2, width // 4
    parts = {
        "conv3X3": _conv(torch, width, half, 3),
        "conv5X5_1": _conv(torch, width, quarter, 3, slope=slope),
        "conv5X5_2": _conv(torch, quarter, quarter, 3),
        "conv7X7_2": _conv(torch, quarter, quarter, 3, slope=slope),
        "conv7x7_3": _conv(torch, quarter, quarter, 3),
    }

    class Context(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            for name, part in parts.items():
                self.add_module(name, part)

        def forward(self, x: Any) -> Any:
            chain = self.conv5X5_1(x)
            seven = self.conv7x7_3(self.conv7X7_2(chain))
            return torch.cat([self.conv3X3(x), self.conv5X5_2(chain), seven], dim=1).relu()

    return Context()


def _network(torch: Any, body: Any, given: list[int], out: int, slope: float) -> Any:
    nn = torch.nn

    class RetinaFace(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body, self.fpn = body, _pyramid(torch, given, out, slope)
            self.ssh1, self.ssh2, self.ssh3 = (_context(torch, out, slope) for _ in range(3))
            for name, (_, values) in _HEADS.items():
                level = [nn.ModuleDict({"conv1x1": nn.Conv2d(out, _ANCHORS * values, 1)}) for _ in range(3)]
                self.add_module(name, nn.ModuleList(level))

        def forward(self, input: Any) -> dict[str, Any]:
            contexts = (self.ssh1, self.ssh2, self.ssh3)
            levels = [part(level) for part, level in zip(contexts, self.fpn(self.body(input)), strict=True)]
            found = {}
            for head, (name, values) in _HEADS.items():
                rows = [
                    part["conv1x1"](level).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, values))
                    for part, level in zip(getattr(self, head), levels, strict=True)
                ]
                found[name] = torch.cat(rows, dim=1)
            found["confidence"] = found["confidence"].softmax(dim=-1)
            return found

    return RetinaFace()
