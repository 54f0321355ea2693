"""Originals that no engine runs (Keras, SavedModel): their own library does, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgeproof.core.errors import EngineError, MissingExtraError
from edgeproof.core.files import storage_error
from edgeproof.core.tensor import Array, Tensors, TensorSpec
from edgeproof.formats.keras.original import architecture_to_run
from edgeproof.formats.savedmodel import check_operators
from edgeproof.formats.tensors import npz_bytes

KINDS = ("keras", "savedmodel")
_SECONDS = 300
_BACKENDS = ("tensorflow", "torch", "jax")


class Reference:
    """An original that is open in its library's own process; a context manager that leaves no process behind.

    Arguments:
        kind: "keras" or "savedmodel".
        source: the file or folder.
        inputs: those of its ONNX copy, which has them in the original's order and layout.

    Raises:
        MissingExtraError: the library is not installed.
        NotFoundError, StorageError, ModelError: the original can't be read, or holds code that is not run.
        EngineError: the library can't open it.
    """

    def __init__(self, kind: str, source: Path, inputs: Sequence[TensorSpec]) -> None:
        backend = _library_for(kind)
        architecture = architecture_to_run(source) if kind == "keras" else None
        if kind == "savedmodel":
            check_operators(source)
        self.inputs = tuple(inputs)
        self._library = "Keras" if kind == "keras" else "TensorFlow"
        self._source, self._said = source, b""
        # Keras writes its settings into the home folder otherwise, and takes the user's from there.
        self._folder = tempfile.TemporaryDirectory(prefix="edgeproof-original-", ignore_cleanup_errors=True)
        own = {"KERAS_HOME": self._folder.name, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgeproof.verify.reference_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | own | {"KERAS_BACKEND": backend},
            cwd=self._folder.name,
        )
        try:
            self._ask({"kind": kind, "source": str(source.absolute()), "architecture": architecture})
        except BaseException:
            self.close()
            raise

    def run(self, feeds: Tensors) -> dict[str, Array]:
        """Run once; outputs have the original's names, or numbers in its order where it has none.

        Raises:
            EngineError: the library failed, crashed, or gave no answer in five minutes.
            StorageError: disk full.
        """
        given, made = Path(self._folder.name, "given.npz"), Path(self._folder.name, "made.npz")
        try:
            given.write_bytes(npz_bytes(feeds))
            self._ask({"given": str(given), "made": str(made)})
            with np.load(made, allow_pickle=False) as stored:
                return dict(stored)
        except OSError as error:
            raise storage_error(given, error) from error

    @property
    def process_id(self) -> int:
        """Of the library's own process."""
        return self._process.pid

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._failed(f"it ended with {self._process.wait()}") from error
        answer = json.loads(self._read_line())
        if answer["error"]:
            raise self._failed(answer["error"])

    def _read_line(self) -> bytes:
        assert self._process.stdout is not None
        place, deadline = self._process.stdout.fileno(), time.monotonic() + _SECONDS
        while b"\n" not in self._said:
            ready, _, _ = select.select([place], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self._process.kill()
                raise self._failed(f"no answer in {_SECONDS} seconds")
            piece = os.read(place, 1 << 16)
            if not piece:
                raise self._failed(f"it ended with {self._process.wait()}")
            self._said += piece
        line, _, self._said = self._said.partition(b"\n")
        return line

    def _failed(self, why: str) -> EngineError:
        return EngineError(
            f"{self._library} can't run {self._source}: {why}.",
            hint="Compare some answers with the program it came from.",
        )

    def close(self) -> None:
        """End the process and wait for it; closing twice is allowed."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it was told last, and will never read
                    pipe.close()
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _library_for(kind: str) -> str:
    """Which of Keras' backends is there; for a SavedModel it has to be TensorFlow."""
    there = [name for name in _BACKENDS if find_spec(name) is not None]
    if kind == "savedmodel":
        if "tensorflow" not in there:
            raise MissingExtraError(
                "Comparing with a SavedModel needs the Python package tensorflow, which is not installed.",
                hint='Install it with: pip install "edgeproof[tensorflow]"',
            )
        return "tensorflow"
    if find_spec("keras") is None or not there:
        raise MissingExtraError(
            "Comparing with the Keras original needs the Python package keras, and TensorFlow or PyTorch under it; not "
            "all of that is installed.",
            hint='Install it with: pip install "edgeproof[keras]", or "edgeproof[tensorflow]".',
        )
    chosen = os.environ.get("KERAS_BACKEND", "")
    return chosen if chosen in there else there[0]
