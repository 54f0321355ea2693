"""The HTTP service about faces with its default options: memory, start, latency, and what batches bring."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from statistics import median

from http_load import run_clients, upload
from serve_load import LARGE, SCALE, Server, counts, jpeg, percentiles, server, slope

UPLOADS_S, LATENCY_S, ROUND_S = 300 * SCALE, 20 * SCALE, 5 * SCALE
STARTS, ROUNDS = 7, 6
SAMPLES_A_MINUTE = 5 * 60


def section() -> str:
    """All parts, one after the other."""
    small = jpeg((640, 480))
    lines = [
        "## serve: memory, start and latency",
        "",
        "`edgeproof serve --task attributes` with its default options. Memory is the proportional set size, summed over"
        " all its processes, read five times a second. The load comes from this same machine and takes its share of the"
        " cores; the service's own Python files are compiled, as an installation has them.",
        "",
        "| | must | measured |",
        "|---|---|---|",
        _starts(small),
    ]
    with server() as one:
        asyncio.run(run_clients(one.port, [upload(small, "/predict")], clients=2, seconds=2))
        lines += [_idle(one), _latency(one, small, "all cores", "")]
        lines += _uploads(one)
    with server(cores={min(os.sched_getaffinity(0))}) as one:
        asyncio.run(run_clients(one.port, [upload(small, "/predict")], clients=1, seconds=1))
        lines.append(_latency(one, small, "one core", "p50 <= 15 ms"))
    lines.append(_batches(small))
    return "\n".join(lines)


def _starts(picture: bytes) -> str:
    seconds = []
    for _ in range(STARTS + 1):  # the first compiles
        began = time.perf_counter()
        with server() as one:
            with socket.create_connection(("127.0.0.1", one.port)) as line:
                line.sendall(upload(picture, "/predict"))
                assert line.recv(1 << 16).startswith(b"HTTP/1.1 200")
            seconds.append(time.perf_counter() - began)
    measured = seconds[1:]
    return (
        f"| process start to the first answer, median of {STARTS} | <= 1.0 s | {median(measured):.2f} s"
        f" ({min(measured):.2f} to {max(measured):.2f}) |"
    )


def _idle(one: Server) -> str:
    one.pss_mb.clear()
    time.sleep(3)
    return f"| memory, idle after the first requests | <= 120 MB | {median(one.pss_mb):.0f} MB |"


def _latency(one: Server, picture: bytes, cores: str, must: str) -> str:
    load = asyncio.run(run_clients(one.port, [upload(picture, "/predict")], clients=1, seconds=LATENCY_S))
    return f"| 640 x 480 with one face, one client, {cores} | {must} | {percentiles(load)}; {counts(load)} |"


def _uploads(one: Server) -> list[str]:
    requests = [upload(jpeg(LARGE, seed), "/predict") for seed in range(4)]
    one.pss_mb.clear()
    load = asyncio.run(run_clients(one.port, requests, clients=10, seconds=UPLOADS_S))
    steady = slope(one.pss_mb[len(one.pss_mb) // 4 :]) * SAMPLES_A_MINUTE
    return [
        f"| 10 clients upload 12 megapixels ({len(requests[0]) / 1e6:.1f} MB) for {UPLOADS_S:.0f} s: peak memory |"
        f" <= 180 MB, slope 0 | {max(one.pss_mb):.0f} MB, {steady:+.2f} MB a minute after the first quarter |",
        f"| the same: requests | | {percentiles(load)}; {counts(load)} |",
    ]


def _batches(picture: bytes) -> str:
    """The two services take turns."""
    request = [upload(picture, "/predict")]
    ratios = []
    with server("--batch-wait", "0") as apart, server() as together:
        for number in range(ROUNDS + 1):
            answered = [
                len(asyncio.run(run_clients(one.port, request, clients=4, seconds=ROUND_S)).latencies_s)
                for one in ((apart, together) if number % 2 else (together, apart))
            ]
            if number:
                without, with_batches = answered if number % 2 else reversed(answered)
                ratios.append(with_batches / max(without, 1))
    return (
        f"| requests a second of 4 clients against the same with `--batch-wait 0`, median of {ROUNDS} turns | |"
        f" {median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f}) |"
    )


if __name__ == "__main__":
    print(section())
