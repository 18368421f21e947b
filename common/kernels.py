"""Compilation of kernels: functions that numba compiles and that process rows in a fixed order."""

from collections.abc import Callable
from typing import Any

from numba import njit

from sensorwatch.common.kernel_cache import KernelCache

Function = Callable[..., Any]

_kernels_called_from_python: list[Any] = []


def kernel(function: Function) -> Any:
    """Compile a kernel that Python code calls."""
    compiled_kernel = _compile(function)
    _kernels_called_from_python.append(compiled_kernel)
    return compiled_kernel


def inlined_kernel(function: Function) -> Any:
    """Compile a function that only kernels call and that allocates no arrays.

    Reference counting is off: numba would count the references to each array at each call, which
    took three quarters of the time of small functions. Inlining is forced: LLVM by default does not
    inline the larger functions, and their calls took another third of the time.
    """
    return _compile(function, _nrt=False, forceinline=True)


def is_cached(compiled_kernel: Any) -> bool:
    """Return whether a kernel's code is on disk; if not, the first call compiles the kernel."""
    return not compiled_kernel._cache.is_empty()  # noqa: SLF001 - see `_compile`


def all_cached() -> bool:
    """Return whether the compiled code of every imported kernel is on disk."""
    return all(map(is_cached, _kernels_called_from_python))


def _compile(function: Function, **options: Any) -> Any:
    # Only Python and kernels call kernels, so no entry point for C is compiled.
    options |= {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    compiled_kernel: Any = njit(**options)(function)
    # Numba's `cache=True` is not used: it reads the disk at import and checks only one source file.
    compiled_kernel._cache = KernelCache(function)  # noqa: SLF001 - numba has no public function
    return compiled_kernel
