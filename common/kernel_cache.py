"""The compiled kernels on disk, opened at the first call of a kernel.

This is the one file that uses numba's private interface; `tests/test_numba_interface.py` says what
it relies on, and what to check before numba's upper bound in pyproject.toml is raised.
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

_log = logging.getLogger("sensorwatch.kernels")

_listeners: list[Callable[[str], object]] = []


def on_compiled(listener: Callable[[str], object]) -> None:
    """Call `listener` with the module and name of each kernel that this process compiles."""
    _listeners.append(listener)


class KernelCache:
    """One kernel's compiled code, by signature and CPU: what a dispatcher of numba keeps it in.

    A folder that cannot be read or written costs time, never a failure: the kernel is compiled.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._folder: Path | None = None
        self._opened: Any = None

    @property
    def cache_path(self) -> str | None:
        """The folder of the compiled code, for numba's own reports; None: there is none."""
        opened = self._open()
        return None if opened is None else str(opened.cache_path)

    def is_empty(self) -> bool:
        """Say whether there is no compiled code of the sources as they are now."""
        opened = self._open()
        try:
            return opened is None or not opened._cache_file._load_index()  # noqa: SLF001
        except (OSError, EOFError, UnpicklingError):
            return True

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None."""
        opened = self._open()
        if opened is None:
            return None
        try:
            return opened.load_overload(sig, target_context)
        except OSError:
            return None
        except (EOFError, UnpicklingError):  # cut off by a crash or a full disk
            self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the compiled code of a signature, if it can be kept."""
        for listener in _listeners:
            listener(f"{self._function.__module__}.{self._function.__qualname__}")
        opened = self._open()
        if opened is None:
            return
        try:
            opened.save_overload(sig, data)
        except (OSError, EOFError, UnpicklingError) as error:
            _log.warning("a compiled kernel cannot be kept in %s: %s", self._folder, error)

    def flush(self) -> None:
        """Forget all signatures."""
        opened = self._open()
        if opened is not None:
            opened.flush()

    def _open(self) -> Any:
        folder = kernel_folder(Path(self._function.__code__.co_filename).parent)
        if folder is None:
            return None
        if folder != self._folder:
            make: Any = _FileCache  # numba's own methods have no types
            self._opened, self._folder = make(self._function), folder
        return self._opened


@cache
def source_stamp() -> str:
    """Return a digest of all files that kernels take code or constants from.

    numba looks only at the file of the function itself, and would use what it compiled before
    a function in another file changed.
    """
    digest = hashlib.sha256()
    for path in kernel_sources():
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def kernel_count() -> int:
    """Return the number of kernels in all files, counted in their text."""
    return sum(
        line in (b"@kernel", b"@inlined_kernel")
        for path in kernel_sources()
        for line in path.read_bytes().splitlines()
    )


def kernel_sources() -> list[Path]:
    """Return every file that kernels may take code or constants from."""
    common = Path(__file__).parent
    folders = (common, common.parent / "trainer")
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


class _Locator:
    """What numba asks for a file's folder and freshness."""

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
