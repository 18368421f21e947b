"""What `common/kernel_cache.py` relies on of numba's private interface.

Before numba's upper bound in pyproject.toml is raised, run these tests with the new version. If one
fails, compare numba/core/dispatcher.py and numba/core/caching.py of both versions: how
`Dispatcher.compile` asks its cache, what an index file holds, and which methods a locator has.
Then check by hand that a changed source compiles again (tests/test_kernels.py does the rest).
"""

import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit
from numba.core import caching, dispatcher
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from packaging.requirements import Requirement

from sensorwatch.common.kernel_cache import KernelCache, _FileCache, _Locator


def test_the_locked_numba_is_the_newest_minor_version_that_is_allowed() -> None:
    """A newer one may change what is private, so it is allowed after a check only."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    required = map(Requirement, tomllib.loads(text)["project"]["dependencies"])
    (bound,) = [one.specifier for one in required if one.name == "numba"]
    major, minor = version("numba").split(".")[:2]

    assert bound.contains(version("numba"))
    assert not bound.contains(f"{major}.{int(minor) + 1}.0")


def test_a_dispatcher_keeps_its_cache_where_kernels_replace_it() -> None:
    compiled: Any = njit(lambda: 1)

    assert isinstance(compiled._cache, caching.NullCache), (
        "numba's Dispatcher no longer has its cache in `_cache`: see kernels._compiled"
    )


def test_a_dispatcher_asks_its_cache_for_what_ours_has_only() -> None:
    asked = set(re.findall(r"self\._cache\.(\w+)", inspect.getsource(dispatcher)))

    assert asked == {"cache_path", "flush", "load_overload", "save_overload"}
    assert asked <= {*vars(KernelCache)}, "numba asks a cache for more: see KernelCache"


def test_a_locator_has_no_method_that_ours_lacks() -> None:
    methods = {
        *caching._CacheLocator.__abstractmethods__,
        *("ensure_cache_path", "from_function"),
    }

    assert methods <= {*vars(_Locator)}, "numba asks a locator for more: see _Locator"


def test_numba_asks_a_cache_and_a_locator_the_way_that_ours_answer() -> None:
    """The calls of the dispatcher, the stamp in the index, the locators of a cache."""
    asked: dict[str, tuple[Any, str]] = {
        "Dispatcher": (dispatcher.Dispatcher.compile, "_cache.load_overload(sig, self.targetctx)"),
        "Dispatcher again": (dispatcher.Dispatcher.compile, "_cache.save_overload(sig, cres)"),
        "CacheImpl": (caching.CacheImpl.__init__, "self._locator_classes"),
        "Cache": (caching.Cache.__init__, "self._impl_class(py_func)"),
        "Cache again": (caching.Cache.__init__, "locator.get_source_stamp()"),
        "the index": (caching.IndexDataCacheFile._load_index, "stamp != self._source_stamp"),
    }
    for where, (function, call) in asked.items():
        assert call in inspect.getsource(function), (
            f"{where}: numba no longer has `{call}`: see common/kernel_cache.py"
        )
    assert issubclass(_FileCache._impl_class, CompileResultCacheImpl)
    assert FunctionCache._impl_class is CompileResultCacheImpl


def test_what_is_kept_is_used_by_a_dispatcher_that_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way once: compiled, saved, and loaded instead of compiled."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    def twice(column):  # type: ignore[no-untyped-def]
        return column * 2.0

    first, second = njit(twice), njit(twice)
    for compiled in (first, second):
        compiled._cache = KernelCache(twice)
        assert compiled(np.ones(1)).tolist() == [2.0]

    assert first.stats.cache_misses.total() == 1
    assert second.stats.cache_hits.total() == 1
