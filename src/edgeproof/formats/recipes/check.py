"""Compare what the network built for this device answers with the golden outputs of the build host.

    python3 check.py [--model FILE] [--tolerance SHARE]

A table with a row for each output: the largest difference over the golden inputs, that as a share of the output's
largest value (of 1 where it ends in a sigmoid or softmax), and the cosine. Exit code: 0 every output is within the
tolerance, 1 one is not, 2 it can't be run here.
Needs numpy and what device.py beside it needs; nothing of edgeproof.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import device
import numpy as np

HERE = Path(__file__).resolve().parent


def golden():
    """The golden inputs, each with its outputs (pairs of dicts, name to array), and what range an output has."""
    pairs, ranges = {}, {}
    with np.load(HERE / "golden.npz", allow_pickle=False) as arrays:
        for key in arrays.files:
            if key.startswith("range."):
                ranges[key[len("range.") :]] = float(arrays[key])
                continue
            number, kind, name = key.split(".", 2)
            pairs.setdefault(int(number), ({}, {}))[kind == "out"][name] = arrays[key]
    return [pairs[number] for number in sorted(pairs)], ranges


def by_name(answer, wanted):
    """The device's outputs under their own names; by place where the device has other names."""
    if set(answer) != set(wanted):
        if len(answer) != len(wanted):
            raise ValueError(f"the device gives {len(answer)} outputs, and there are {len(wanted)}")
        answer = dict(zip(wanted, answer.values()))
    for name, array in wanted.items():
        if answer[name].size != array.size:
            raise ValueError(f"output {name!r} has the shape {answer[name].shape}, not {array.shape}")
    return answer


def difference(wanted, found, whole):
    """Largest absolute difference, that over the largest magnitude in `wanted` (or `whole`, its range), cosine."""
    a = wanted.astype(np.float64).ravel()
    b = found.astype(np.float64).ravel()
    if not np.isfinite(b).all() or not a.size:
        return (0.0, 0.0, 1.0) if not a.size else (np.inf, np.inf, 0.0)
    max_abs = np.abs(a - b).max()
    largest = max(np.abs(a).max(), whole)
    if max_abs == 0:
        return 0.0, 0.0, 1.0
    length = np.sqrt((a * a).sum() * (b * b).sum())
    return max_abs, max_abs / largest if largest else np.inf, (a * b).sum() / length if length else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(HERE / device.MODEL), help="default: %(default)s")
    parser.add_argument("--tolerance", type=float, default=device.TOLERANCE, help="default: %(default)s")
    options = parser.parse_args()
    if not Path(options.model).is_file():
        print(f"check.py: {options.model} isn't there: make it with sh build.sh", file=sys.stderr)
        return 2
    pairs, ranges = golden()
    worst = {}
    try:
        run = device.open_model(options.model)
        for feeds, wanted in pairs:
            answer = by_name(run(feeds), wanted)
            for name, array in wanted.items():
                found = difference(array, answer[name], ranges.get(name, 0.0))
                before = worst.get(name, found)
                worst[name] = (max(before[0], found[0]), max(before[1], found[1]), min(before[2], found[2]))
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"check.py: {error}. {device.NEEDS}", file=sys.stderr)
        return 2
    width = max([len("output"), *map(len, worst)])
    print(f"{'output':{width}}  {'max_abs':>10}  {'max_rel':>10}  {'cosine':>9}")
    for name, (max_abs, max_rel, cosine) in worst.items():
        verdict = "" if max_rel <= options.tolerance else "  differs"
        print(f"{name:{width}}  {max_abs:10.3g}  {max_rel:10.3g}  {cosine:9.6f}{verdict}")
    same = all(max_rel <= options.tolerance for _, max_rel, _ in worst.values())
    verdict = "ok" if same else "differs"
    print(
        f"{verdict}: {len(pairs)} golden inputs; allowed: {options.tolerance:g} of an output's largest value"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
