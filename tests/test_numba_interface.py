"""The parts of numba's private interface that `common/kernel_cache.py` uses are unchanged.

Before numba's upper bound in pyproject.toml is raised, run these tests with the new version. If a
test fails, compare numba/core/dispatcher.py and numba/core/caching.py of both versions. Compare how
`Dispatcher.compile` calls its cache, what an index file contains, and which methods a locator has.
Then check by hand that a kernel compiles again after a change of its source.
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
    """A newer numba may change private functions, so it is allowed only after a check by hand."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    requirements = map(Requirement, tomllib.loads(text)["project"]["dependencies"])
    (version_range,) = [
        requirement.specifier for requirement in requirements if requirement.name == "numba"
    ]
    major_version, minor_version = version("numba").split(".")[:2]

    assert version_range.contains(version("numba"))
    assert not version_range.contains(f"{major_version}.{int(minor_version) + 1}.0")


def test_a_dispatcher_stores_its_cache_in_the_attribute_that_kernels_replace() -> None:
    compiled_function: Any = njit(lambda: 1)

    assert isinstance(compiled_function._cache, caching.NullCache), (
        "numba's Dispatcher no longer has its cache in `_cache`: see kernels._compile"
    )


def test_a_dispatcher_calls_only_methods_that_the_kernel_cache_has() -> None:
    called_methods = set(re.findall(r"self\._cache\.(\w+)", inspect.getsource(dispatcher)))

    assert called_methods == {"cache_path", "flush", "load_overload", "save_overload"}
    assert called_methods <= {*vars(KernelCache)}, "numba calls a method that KernelCache lacks"


def test_a_locator_of_numba_has_no_method_that_the_kernel_locator_lacks() -> None:
    called_method_names = {
        *caching._CacheLocator.__abstractmethods__,
        *("ensure_cache_path", "from_function"),
    }

    assert called_method_names <= {*vars(_Locator)}, "numba calls a method that _Locator lacks"


def test_numba_calls_a_cache_and_a_locator_as_the_kernel_cache_expects() -> None:
    """The sources of numba contain the expected calls to methods of the cache and the locator."""
    expected_calls: dict[str, tuple[Any, str]] = {
        "Dispatcher": (dispatcher.Dispatcher.compile, "_cache.load_overload(sig, self.targetctx)"),
        "Dispatcher again": (dispatcher.Dispatcher.compile, "_cache.save_overload(sig, cres)"),
        "CacheImpl": (caching.CacheImpl.__init__, "self._locator_classes"),
        "Cache": (caching.Cache.__init__, "self._impl_class(py_func)"),
        "Cache again": (caching.Cache.__init__, "locator.get_source_stamp()"),
        "the index": (caching.IndexDataCacheFile._load_index, "stamp != self._source_stamp"),
    }
    for caller, (function, expected_call) in expected_calls.items():
        assert expected_call in inspect.getsource(function), (
            f"{caller}: numba no longer has `{expected_call}`: see common/kernel_cache.py"
        )
    assert issubclass(_FileCache._impl_class, CompileResultCacheImpl)
    assert FunctionCache._impl_class is CompileResultCacheImpl


def test_a_new_dispatcher_loads_the_compiled_code_of_another_dispatcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first dispatcher compiles and saves the code, which the second dispatcher loads."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    def doubled(column):  # type: ignore[no-untyped-def]
        return column * 2.0

    first_dispatcher, second_dispatcher = njit(doubled), njit(doubled)
    for kernel_dispatcher in (first_dispatcher, second_dispatcher):
        kernel_dispatcher._cache = KernelCache(doubled)
        assert kernel_dispatcher(np.ones(1)).tolist() == [2.0]

    assert first_dispatcher.stats.cache_misses.total() == 1
    assert second_dispatcher.stats.cache_hits.total() == 1
