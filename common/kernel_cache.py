"""The cache of compiled kernels on disk; it is opened at the first call of a kernel.

Numba's private interface is used only here and in one line of `kernels.py`. The tests in
`tests/test_numba_interface.py` cover all parts of this interface that are used, and the test file
lists what to check before numba's upper bound in pyproject.toml is raised.
"""

import hashlib
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache

from sensorwatch.common.kernel_folder import kernel_folder
from sensorwatch.common.kernel_hooks import report_compiled, run_action

_log = logging.getLogger("sensorwatch.kernels")


class KernelCache:
    """The cache of one kernel's compiled code, by signature and CPU, as numba's dispatcher uses it.

    If the folder cannot be read or written, the kernel is compiled again; no error is raised.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._folder: Path | None = None
        self._numba_cache: Any = None

    @property
    def cache_path(self) -> str | None:
        """Folder of the compiled code, for numba's reports; None if no folder can be written."""
        numba_cache = self._open_cache()
        return None if numba_cache is None else str(numba_cache.cache_path)

    def is_empty(self) -> bool:
        """Return whether the folder contains no compiled code of the current source files."""
        numba_cache = self._open_cache()
        try:
            return numba_cache is None or not numba_cache._cache_file._load_index()  # noqa: SLF001
        except (OSError, EOFError, UnpicklingError):
            return True

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None if it is not on disk.

        If the kernel has no compiled code at all, first run the action of `kernel_hooks`, which may
        compile all kernels.
        """
        compiled = self._load(sig, target_context)
        if compiled is None and self.is_empty() and run_action():
            compiled = self._load(sig, target_context)
        return compiled

    def _load(self, sig: Any, target_context: Any) -> Any:
        numba_cache = self._open_cache()
        if numba_cache is None:
            return None
        try:
            return numba_cache.load_overload(sig, target_context)
        except OSError:
            return None
        except (EOFError, UnpicklingError):  # incomplete after a crash or full disk
            self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store the compiled code of a signature if the folder can be written."""
        report_compiled(f"{self._function.__module__}.{self._function.__qualname__}")
        numba_cache = self._open_cache()
        if numba_cache is None:
            return
        try:
            numba_cache.save_overload(sig, data)
        except (OSError, EOFError, UnpicklingError) as error:
            _log.warning("a compiled kernel cannot be kept in %s: %s", self._folder, error)

    def flush(self) -> None:
        """Forget the compiled code of all signatures."""
        numba_cache = self._open_cache()
        if numba_cache is not None:
            numba_cache.flush()

    def _open_cache(self) -> Any:
        folder = kernel_folder(Path(self._function.__code__.co_filename).parent)
        if folder is None:
            return None
        if folder != self._folder:
            new_cache: Any = _FileCache  # numba's methods have no type annotations
            self._numba_cache, self._folder = new_cache(self._function), folder
        return self._numba_cache


@cache
def source_stamp() -> str:
    """Return a digest of all source files that can affect the code of a kernel.

    Numba checks only the file of the function itself. After a change of a function in another file,
    it would use outdated compiled code.
    """
    digest = hashlib.sha256()
    for path in kernel_sources():
        source_bytes = path.read_bytes()
        digest.update(f"{path.name} {len(source_bytes)}\n".encode())
        digest.update(source_bytes)
    return digest.hexdigest()


def kernel_count() -> int:
    """Return the number of kernels, which is the number of their decorators in the source files."""
    return sum(
        line in (b"@kernel", b"@inlined_kernel")
        for path in kernel_sources()
        for line in path.read_bytes().splitlines()
    )


def kernel_sources() -> list[Path]:
    """Return all source files that can affect the code of a kernel."""
    common = Path(__file__).parent
    folders = (common, common.parent / "trainer")
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


class _Locator:
    """Gives numba the cache folder of a source file, and a stamp that changes with the source."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._function = function
        self._folder = kernel_folder(Path(file).parent)

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "_Locator":
        return cls(function, file)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def ensure_cache_path(self) -> None:
        if self._folder is not None:
            self._folder.mkdir(exist_ok=True)

    def get_source_stamp(self) -> str:
        return source_stamp()

    def get_disambiguator(self) -> str:
        return str(self._function.__code__.co_firstlineno)


class _FileCacheParts(CompileResultCacheImpl):
    _locator_classes: list[type[object]] = [_Locator]  # noqa: RUF012 - as numba declares it


class _FileCache(FunctionCache):
    _impl_class = _FileCacheParts
