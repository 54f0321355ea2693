"""Small PyTorch networks, in each form in which PyTorch keeps one."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch isn't installed (extra `torch`)")
pytest.importorskip("onnxscript", reason="onnxscript isn't installed (extra `torch`)")


def small() -> Any:
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU()
    return torch.nn.Sequential(*layers).eval()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One network as .pt2, TorchScript, and its weights as a zip and as the pickle of old."""
    folder = tmp_path_factory.mktemp("torch")
    network = small()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network).save(folder / "script.pt")
    free = ({0: torch.export.Dim("N")},)
    program = torch.export.export(network, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=free)
    torch.export.save(program, folder / "program.pt2")
    torch.save(network.state_dict(), folder / "zip.pth")
    torch.save(network.state_dict(), folder / "pickle.pth", _use_new_zipfile_serialization=False)
    return {path.stem: path for path in folder.iterdir()}
