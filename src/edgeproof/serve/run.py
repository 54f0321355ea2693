"""Start, watch and end the service."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from edgeproof.core.allocator import return_large_blocks
from edgeproof.core.errors import StorageError, UsageError
from edgeproof.core.extras import require
from edgeproof.devices.host import usable_cores
from edgeproof.serve.access import Access, read_keys
from edgeproof.serve.gallery_process import gallery_process
from edgeproof.serve.memory import limit_data, resident_bytes, total_bytes
from edgeproof.serve.settings import Settings
from edgeproof.serve.tasks import TASK_ROWS
from edgeproof.serve.worker_process import WorkerProcess

if TYPE_CHECKING:
    from edgeproof.serve.gallery import Galleries
    from edgeproof.serve.pool import Pool
    from edgeproof.serve.service import Service

# The interpreter's and the allocators' own growth between idle and busy, which no request's header tells.
_SLACK = 10_000_000
_BODIES_SHARE = 0.4
_LEAST_ROOM = 30_000_000
# Beside a task's run: an ordinary photo, decoded as the task needs it.
_PHOTO = 10_000_000
# So many may wait for each that is served: more, and they would wait ten times as long as an answer takes in calm.
_WAITING_PER_SLOT = 3
_LEAST_PLACES = 10
_WATCH_S = 0.5
_PIECE = 32 << 10
_BACKLOG = 256


def serve(settings: Settings, announce: Callable[[dict[str, Any]], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are still answered.

    Arguments:
        announce: called once when everything is ready, with the address and what is served.

    Raises:
        UsageError: the settings can't be meant, or the memory budget is too small for these networks.
        StorageError: the address can't be used.
        WorkerError: a network can't be served, with the reason.
        MissingExtraError: a library is not installed.
    """
    settings.check()
    # Pillow's say what stands in a picture; the headers of TIFF files are its to read.
    warnings.simplefilter("ignore")
    # Uploads come in pieces of up to 256 kB, many at once: between what stays they would leave holes for good.
    return_large_blocks(_PIECE, 2 * _PIECE)
    keys = read_keys(settings.key_file) if settings.key_file else None
    listener = _listen(settings)
    threads = settings.threads or max(1, usable_cores() // settings.workers)
    # They load their libraries and networks while this process loads its own.
    first = [WorkerProcess(threads) for _ in range(settings.workers)]
    keeper = gallery_process(settings) if settings.galleries else None
    try:
        for module in ("h11", "uvicorn", "starlette", "python_multipart"):
            require(module, extra="serve", purpose="The HTTP service")
        import asyncio

        access = Access(keys, loopback=settings.loopback)
        asyncio.run(_run(settings, access, listener, threads, first, keeper, announce))
    finally:
        for worker in (*first, *([keeper] if keeper else ())):
            worker.close()
        listener.close()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Said to be TCP, for asyncio sends at once only then: otherwise kept connections get each answer 40 ms late.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)  # so that a second service on this port is refused now and not later
    except (OSError, OverflowError) as error:
        listener.close()
        raise StorageError(
            f"Can't listen on {settings.host} port {settings.port}: {getattr(error, 'strerror', None) or error}.",
            hint="Choose another --port (0 for any free one) or --host.",
        ) from error
    return listener


async def _run(
    settings: Settings,
    access: Access,
    listener: socket.socket,
    threads: int,
    first: list[WorkerProcess],
    keeper: WorkerProcess | None,
    announce: Callable[[dict[str, Any]], None],
) -> None:
    import asyncio

    from edgeproof.serve.app import App
    from edgeproof.serve.gallery import start_galleries
    from edgeproof.serve.metrics import Metrics
    from edgeproof.serve.pool import Plan, Pool

    metrics = Metrics()
    plan = Plan(
        settings.workers,
        threads,
        settings.served,
        settings.models,
        settings.run_timeout_s,
        settings.wait_timeout_s,
        settings.batch_wait_s,
    )
    pool = Pool(plan, first, metrics.restarts.add)
    await pool.start()
    galleries = None
    try:
        if keeper is not None:
            galleries = await start_galleries(settings, pool, keeper, metrics.restarts.add)
        service = _service(settings, pool, galleries, access, metrics)
        watching = asyncio.create_task(_watch(service))
        server = _server(App(service), settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, _end, service, server)
        announce(_announcement(service, listener))
        await server.serve([listener])
        watching.cancel()
    finally:
        await pool.close()
        if galleries is not None:
            await galleries.pool.close()


def _service(
    settings: Settings, pool: Pool, galleries: Galleries | None, access: Access, metrics: Any
) -> Service:
    from edgeproof.serve.admission import Admission
    from edgeproof.serve.service import Service

    pools = [pool, *([galleries.pool] if galleries else ())]
    idle = total_bytes(["self", *(pid for one in pools for pid in one.pids)])
    room = settings.memory - idle - _SLACK
    largest_run = max(TASK_ROWS[task].run_bytes for task in settings.served)
    least_room = max(_LEAST_ROOM, int((largest_run + _PHOTO) / (1 - _BODIES_SHARE)))
    if room < least_room:
        least = -(-(idle + _SLACK + least_room) // 10**6)
        raise UsageError(
            f"Idle, the service takes {idle / 1e6:.0f} MB, and needs {(_SLACK + least_room) / 1e6:.0f} MB more to look"
            f" at a picture; --mem-budget is {settings.memory / 1e6:.0f} MB.",
            hint=f"Give at least {least} MB, or serve fewer networks with fewer workers.",
        )
    bodies = int(room * _BODIES_SHARE)
    admission = Admission(
        places=max(_LEAST_PLACES, (1 + _WAITING_PER_SLOT) * pool.slots),
        bodies=bodies,
        work=room - bodies,
        wait_timeout_s=settings.wait_timeout_s,
    )
    settings = dataclasses.replace(settings, max_upload=min(settings.max_upload, bodies))
    for one in pools:
        for pid in one.pids:
            limit_data(pid, room)
        one.bound(max(resident_bytes(pid) for pid in one.pids) + room, lambda pid: limit_data(pid, room))
    if galleries is not None:
        galleries.count_in(admission, TASK_ROWS["embeddings"].run_bytes + _PHOTO)
    return Service(settings, pool, admission, access, metrics, galleries)


async def _watch(service: Service) -> None:
    import asyncio

    while True:
        await asyncio.sleep(_WATCH_S)
        for pool in service.pools:
            pool.replace_large()
        await service.close_unused()


def _server(app: Any, settings: Settings) -> Any:
    import uvicorn

    from edgeproof.serve.protocol import protocol

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Ours are set already, and end with exit code 0."""
            yield

    config = uvicorn.Config(
        app,
        http=protocol(settings.header_timeout_s),
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
    )
    return Server(config)


def _end(service: Service, server: Any) -> None:
    server.force_exit = service.draining  # the second time at once
    service.draining = True
    server.should_exit = True


def _announcement(service: Service, listener: socket.socket) -> dict[str, Any]:
    settings = service.settings
    host, port = listener.getsockname()[:2]
    return {
        "url": f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}",
        "host": host,
        "port": port,
        "pid": os.getpid(),
        "tasks": list(settings.served),
        "models": [model["name"] for model in service.models],
        "workers": len(service.pool.pids),
        "slots": service.pool.slots,
        "collections": list(service.galleries.facts.values()) if service.galleries else [],
        "memory_bytes": total_bytes(["self", *service.pids]),
        "memory_budget_bytes": settings.memory,
    }
