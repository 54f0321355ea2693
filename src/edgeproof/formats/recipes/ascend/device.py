"""Running an .om file with ais_bench, Huawei's tool on top of pyACL."""

from __future__ import annotations

MODEL = "model.om"
TOLERANCE = (
    0.02  # half precision, which atc computes in unless told otherwise, keeps 11 bits, and layers add up
)
NEEDS = (
    "It needs an Ascend device with its driver, CANN (source its set_env.sh) and the Python packages aclruntime and "
    "ais_bench: https://gitee.com/ascend/tools/tree/master/ais-bench_workload/tool/ais_bench"
)


def open_model(path):
    """A function from inputs to outputs, both name to array; outputs are named by their place."""
    from ais_bench.infer.interface import InferSession

    session = InferSession(0, str(path))
    names = [entry.name for entry in session.get_inputs()]

    def run(feeds):
        ordered = [feeds[name] for name in names] if set(names) == set(feeds) else list(feeds.values())
        return {str(place): array for place, array in enumerate(session.infer(ordered, mode="static"))}

    return run
