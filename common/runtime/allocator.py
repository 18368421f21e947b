"""Settings of the C library's allocator, so that freed memory is reused without page faults."""

import ctypes
import os

TRIM_THRESHOLD_BYTES = 128 * 1024 * 1024
"""Freed bytes at the top of the heap that the C library keeps before it returns any to the
system."""
MMAP_THRESHOLD_BYTES = 32 * 1024 * 1024
"""Allocations from this size get pages of their own, which return to the system when freed.

glibc allows no larger value.
"""
# From glibc's malloc.h; see mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for reuse; return False for another C library.

    By default, glibc returns the columns of a micro-batch to the system. The page faults of the
    next micro-batch then take up to a quarter of the scoring time. The function does nothing if the
    user set one of glibc's MALLOC_ variables.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    options = {_M_TRIM_THRESHOLD: TRIM_THRESHOLD_BYTES, _M_MMAP_THRESHOLD: MMAP_THRESHOLD_BYTES}
    return all(mallopt(name, size) == 1 for name, size in options.items())
