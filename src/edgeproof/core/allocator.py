"""What the C library's allocator keeps for itself although nobody uses it any more."""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)
# Threads that share a heap leave less of it unused: the faces pipeline takes 4 to 8 MB less than with one a thread.
_HEAPS = 2


def return_large_blocks(block: int = 1 << 20, end: int = 4 << 20) -> None:
    """Make every block of `block` bytes and more go back to the system once it is freed (glibc; elsewhere nothing).

    By default the first large block that is freed raises that limit to its own size, up to 32 MB: after one
    large photo the process would keep as much for good. A limit that is set holds another one at 128 kB, from
    which on free memory at the end of the heap goes back at once: the pixels of a small photo would come and go
    page by page, a tenth of the time that `rotate` takes. `end` bytes of it stay.
    It holds for the whole process, so only programs call it.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(_MMAP_THRESHOLD, block)
        library.mallopt(_TRIM_THRESHOLD, end)
        library.mallopt(_ARENA_MAX, _HEAPS)


def release_free_memory() -> None:
    """Give freed memory back to the system, where the C library can (glibc's malloc_trim; elsewhere nothing).

    Opening a network parses and copies its weights several times; without this, two to three times the size
    of the model file stays resident for as long as the process lives.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
