"""The fingerprint depends on everything that can change a bit of a score."""

import platform
import shutil
from pathlib import Path

import pytest

import sensorwatch.common
from sensorwatch.common.runtime.fingerprint import code_digest, fingerprint


@pytest.mark.parametrize(
    ("function", "result"),
    [("python_version", "3.99.0"), ("machine", "sparc"), ("libc_ver", ("glibc", "2.99"))],
)
def test_another_python_cpu_or_c_library_changes_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch, function: str, result: object
) -> None:
    """The fingerprint includes the C library, because compiled code calls its function `log`."""
    fingerprint_here = fingerprint.__wrapped__()

    monkeypatch.setattr(platform, function, lambda: result)

    assert fingerprint.__wrapped__() != fingerprint_here


@pytest.mark.parametrize(
    "changed_file",
    [
        "kernels.py",
        "row_executor.py",
        "rows/fields.py",
        "rows/fast/json_rows.py",
        "model/forest.py",
        "scoring/recall.py",
        "ledger/account.py",
    ],
)
def test_a_changed_byte_in_any_package_changes_the_code_digest(
    tmp_path: Path, changed_file: str
) -> None:
    common_folder = tmp_path / "common"
    shutil.copytree(Path(sensorwatch.common.__path__[0]), common_folder)
    digest_before = code_digest(common_folder)
    file = common_folder / changed_file

    file.write_bytes(file.read_bytes() + b" ")

    assert code_digest(common_folder) != digest_before


def test_a_copy_in_another_folder_has_the_same_code_digest(tmp_path: Path) -> None:
    source_folder = Path(sensorwatch.common.__path__[0])
    shutil.copytree(source_folder, tmp_path / "installed")

    assert code_digest(tmp_path / "installed") == code_digest(source_folder)
