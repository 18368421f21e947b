"""Settings of the C library's allocator, so that freed memory is reused without page faults."""

import ctypes
import os

TRIM_THRESHOLD_BYTES = 128 * 1024 * 1024
"""The C library keeps up to this number of freed bytes at the top of the heap, instead of returning
them to the system."""
MMAP_THRESHOLD_BYTES = 32 * 1024 * 1024
"""Allocations of this size or more get separate pages, which return to the system when freed.

This is the largest value that glibc allows.
"""
# From glibc's malloc.h; see mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for reuse; return False if nothing was changed.

    By default, glibc returns the memory of a micro-batch's columns to the system, and the page
    faults of the next micro-batch take up to a quarter of the scoring time. This function changes
    nothing if the C library is not glibc, or if the user set one of glibc's MALLOC_ variables.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    options = {_M_TRIM_THRESHOLD: TRIM_THRESHOLD_BYTES, _M_MMAP_THRESHOLD: MMAP_THRESHOLD_BYTES}
    return all(mallopt(name, size) == 1 for name, size in options.items())
