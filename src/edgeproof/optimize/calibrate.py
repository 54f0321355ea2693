"""The ranges of activations over sample pictures, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeproof.core.errors import DataError, InputError, ModelError
from edgeproof.core.tensor import Tensors, TensorSpec, check_feeds
from edgeproof.formats.graph import copy_of, first_line, onnx_for
from edgeproof.optimize.histogram import Histogram
from edgeproof.optimize.placement import place, ready_to_place

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Ranges:
    """What was seen of each activation.

    Attributes:
        histograms: tensor name -> the histogram of its values.
        samples: how many samples were run.
    """

    histograms: dict[str, Histogram]
    samples: int

    def minmax(self) -> dict[str, tuple[float, float]]:
        """The smallest and largest value seen."""
        return {name: seen.minmax() for name, seen in self.histograms.items()}

    def percentile(self, percent: float = 99.99) -> dict[str, tuple[float, float]]:
        """The range that holds `percent` of the values, the rest left out half at each end.

        Source: Wu et al. 2020, "Integer quantization for deep learning inference", arXiv:2004.09602,
        section 5.2.

        Raises:
            InputError: `percent` is not over 0 and at most 100.
        """
        if not 0.0 < percent <= 100.0:
            raise InputError(f"percent is {percent}.", hint="Expected over 0 and at most 100, such as 99.99.")
        return {name: seen.percentile(percent) for name, seen in self.histograms.items()}

    def mse(self) -> dict[str, tuple[float, float]]:
        """The range with the least expected squared error of 8-bit asymmetric quantisation."""
        return {name: seen.mse() for name, seen in self.histograms.items()}


def collect_ranges(
    model: onnx.ModelProto, samples: Iterable[Tensors], *, bins: int = 2048, threads: int = 1
) -> Ranges:
    """Run a network on samples and keep a histogram of each activation that `static_int8` quantises.

    Arguments:
        model: the network, as it will be given to `static_int8`.
        samples: for each run, the input arrays by name, as the network takes them. One is held at a time.
        bins: of each histogram, on each side of zero.
        threads: of ONNX Runtime.

    Raises:
        DataError: no sample came.
        InputError: a sample doesn't fit the network.
        ModelError: the network can't be run, or an activation is NaN or infinite.
        MissingExtraError: onnx is not installed.
    """
    onnx = onnx_for("Calibrating a network")
    lifted = ready_to_place(model).model
    specs = [_spec(entry) for entry in lifted.graph.input]
    names = sorted(set(place(lifted).ranges.values()))
    inside = [name for name in names if name not in {spec.name for spec in specs}]
    probe = copy_of(lifted)
    present = {entry.name for entry in probe.graph.output}
    probe.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in inside
        if name not in present
    )
    histograms = {name: Histogram(bins) for name in names}
    count = 0
    for feeds, values in _runs(probe, specs, inside, samples, threads):
        count += 1
        for name, histogram in histograms.items():
            value = values[name] if name in values else feeds[name]
            if not np.isfinite(value).all():
                raise ModelError(
                    f"Sample {count}: the activation {name!r} is NaN or infinite.",
                    hint="Check that the samples are prepared as in training, and the float network.",
                )
            histogram.add(value)
    if not count:
        raise DataError("There are no calibration samples.", hint="Give at least one; 32 to 200 are usual.")
    return Ranges(histograms, count)


def _spec(entry: onnx.ValueInfoProto) -> TensorSpec:
    from onnx.helper import tensor_dtype_to_np_dtype

    kind = entry.type.tensor_type
    shape = tuple(
        int(dim.dim_value) if dim.HasField("dim_value") else str(dim.dim_param or f"{entry.name}_{place}")
        for place, dim in enumerate(kind.shape.dim)
    )
    return TensorSpec(entry.name, shape, str(tensor_dtype_to_np_dtype(kind.elem_type)))


def _runs(
    probe: onnx.ModelProto,
    specs: list[TensorSpec],
    names: list[str],
    samples: Iterable[Tensors],
    threads: int,
) -> Iterator[tuple[Tensors, dict[str, NDArray[np.float32]]]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # Beyond the basic level nodes are fused, and the tensors between them are no more what int8 will see.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # The arena would keep the peak of every tensor at once for good.
    options.enable_cpu_mem_arena = False
    try:
        session = onnxruntime.InferenceSession(
            probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has no common base class for what it raises
        raise ModelError(
            f"ONNX Runtime can't load the network: {first_line(error)}.",
            hint="Check that it runs as it is, before it is quantised.",
        ) from error
    for feeds in samples:
        check_feeds(specs, feeds)
        try:
            outputs = session.run(names, dict(feeds)) if names else []
        except Exception as error:
            raise ModelError(
                f"ONNX Runtime can't run the network: {first_line(error)}.",
                hint="Check that it runs on this sample as it is, before it is quantised.",
            ) from error
        yield feeds, dict(zip(names, outputs, strict=True))
