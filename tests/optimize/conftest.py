"""The graphs that these tests are made of."""

from __future__ import annotations

from onnx_graphs import graphs

__all__ = ["graphs"]
