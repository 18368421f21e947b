"""The C library's allocator: what is freed is kept, because as much is wanted again at once."""

import ctypes
import os

TRIM_THRESHOLD_BYTES = 128 * 1024 * 1024
"""So much freed memory at the top of the heap is not given back."""
MMAP_THRESHOLD_BYTES = 32 * 1024 * 1024
"""What is as large as this has pages of its own, which do go back; the most that glibc takes."""
# From glibc's malloc.h; see mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Let this process keep what it frees; return whether its C library can (glibc).

    By default the columns of a micro-batch go back to the system after it, and the next one waits
    for every page of them: up to a quarter of the time it takes to score. Whoever sets one of
    glibc's MALLOC_ variables decides that without us.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    options = {_M_TRIM_THRESHOLD: TRIM_THRESHOLD_BYTES, _M_MMAP_THRESHOLD: MMAP_THRESHOLD_BYTES}
    return all(mallopt(name, size) == 1 for name, size in options.items())
