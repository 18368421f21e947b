"""What was compiled before any file with kernels changed is not used again."""

import numpy as np
import pytest

from common import kernels


def test_a_change_in_any_file_of_kernels_makes_all_of_them_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = _stamp_of_a_kernel()
    assert _stamp_of_a_kernel() == before

    monkeypatch.setattr(kernels, "_stamp", lambda: "another part was changed")

    assert _stamp_of_a_kernel() != before


def test_a_kernel_may_call_parts_of_which_none_counts_references() -> None:
    @kernels.part
    def first(row):  # type: ignore[no-untyped-def]
        return row[0]

    @kernels.kernel
    def total(rows):  # type: ignore[no-untyped-def]
        found = 0.0
        for row in range(len(rows)):
            found += first(rows[row])
        return found

    assert total(np.arange(6.0).reshape(3, 2)) == 0.0 + 2.0 + 4.0


def _stamp_of_a_kernel() -> object:
    @kernels.kernel
    def one():  # type: ignore[no-untyped-def]
        return 1

    return one._cache._cache_file._source_stamp
