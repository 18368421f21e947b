"""Compilation of kernels, which process rows in one fixed order."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit

Function = Callable[..., Any]


def kernel(function: Function) -> Any:
    """Compile a function that Python calls."""
    return _compiled(function)


def inlined_kernel(function: Function) -> Any:
    """Compile what only kernels call: it borrows its arrays and allocates none.

    numba would count the references to each array at each call, which took three quarters of the
    time of small functions. Each is put in place of its calls: LLVM by itself leaves larger ones
    apart, which took another third.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def is_cached(compiled: Any) -> bool:
    """Say whether numba's cache has this kernel as the code is now; else a call compiles it."""
    return bool(compiled._cache._cache_file._load_index())  # noqa: SLF001 - numba does not tell


def _compiled(function: Function, **options: Any) -> Any:
    compiled: Any = njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    # numba looks only at the file that a function stands in, and would go on with what it compiled
    # before a part in another file was changed.
    file = compiled._cache._cache_file  # noqa: SLF001 - there is no other way to say so
    file._source_stamp = (file._source_stamp, _kernel_sources_stamp())  # noqa: SLF001
    return compiled


@cache
def _kernel_sources_stamp() -> str:
    """Tell by sizes and times whether any file that kernels stand in has changed."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("**/*.py")):
        file_stat = path.stat()
        digest.update(f"{path.name} {file_stat.st_size} {file_stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
