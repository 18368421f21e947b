"""Copies the compiled kernels of the checkout for an installed package with the same code."""

import os
import shutil
from pathlib import Path

from sensorwatch.common.kernel_folder import _own_folder
from tests.deploy.compose import ROOT


def copy_compiled_kernels(package_folder: Path, *, numba_cache_dir: str | None) -> None:
    """Copy the kernels to the place where the package in `package_folder` looks for them.

    A copy saves a minute of compilation. Kernels that the checkout has not compiled are left out.

    `numba_cache_dir`: the value of NUMBA_CACHE_DIR for programs of the package; None means that
    the variable is not set.
    """
    checkout_folder = ROOT / "sensorwatch"
    for name in ("common", "trainer"):
        for source_file in (checkout_folder / name).rglob("*.py"):
            source_folder = source_file.parent
            origin = _own_folder(source_folder, os.environ.get("NUMBA_CACHE_DIR"))
            target = _own_folder(
                package_folder / source_folder.relative_to(checkout_folder), numba_cache_dir
            )
            assert origin is not None
            assert target is not None
            for path in origin.glob(f"{source_file.stem}.*.nb[ic]"):
                shutil.copyfile(path, target / path.name)
