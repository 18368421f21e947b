"""Compilation of kernels, which process rows in one fixed order."""

from collections.abc import Callable
from typing import Any

from numba import njit

from sensorwatch.common.kernel_cache import KernelCache

Function = Callable[..., Any]

_called_from_python: list[Any] = []


def kernel(function: Function) -> Any:
    """Compile a function that Python calls."""
    compiled = _compiled(function)
    _called_from_python.append(compiled)
    return compiled


def inlined_kernel(function: Function) -> Any:
    """Compile what only kernels call: it borrows its arrays and allocates none.

    numba would count the references to each array at each call, which took three quarters of the
    time of small functions. Each is put in place of its calls: LLVM by itself leaves larger ones
    apart, which took another third.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def is_cached(compiled: Any) -> bool:
    """Return whether the compiled code of a kernel is on disk; if not, its first call compiles."""
    return not compiled._cache.is_empty()  # noqa: SLF001 - see `_compiled`


def all_cached() -> bool:
    """Return whether the compiled code of every imported kernel is on disk."""
    return all(map(is_cached, _called_from_python))


def _compiled(function: Function, **options: Any) -> Any:
    # Only Python and kernels call kernels, so no entry for C is compiled.
    options |= {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    compiled: Any = njit(**options)(function)
    # Not numba's `cache=True`: it looks at the disk at import, and at one file only.
    compiled._cache = KernelCache(function)  # noqa: SLF001 - numba has no public way
    return compiled
