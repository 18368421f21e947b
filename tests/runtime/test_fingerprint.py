"""The fingerprint names what decides a score's last bit."""

import platform
import shutil
from pathlib import Path

import pytest

import sensorwatch.common
from sensorwatch.common.runtime.fingerprint import code_digest, fingerprint


@pytest.mark.parametrize(
    ("function", "answer"),
    [("python_version", "3.99.0"), ("machine", "sparc"), ("libc_ver", ("glibc", "2.99"))],
)
def test_another_machine_has_another_fingerprint(
    monkeypatch: pytest.MonkeyPatch, function: str, answer: object
) -> None:
    """Also where only the C library is another: the logarithm is its."""
    ours = fingerprint.__wrapped__()

    monkeypatch.setattr(platform, function, lambda: answer)

    assert fingerprint.__wrapped__() != ours


@pytest.mark.parametrize(
    "changed",
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
def test_a_changed_byte_in_any_room_changes_the_code_digest(tmp_path: Path, changed: str) -> None:
    common = tmp_path / "common"
    shutil.copytree(Path(sensorwatch.common.__path__[0]), common)
    before = code_digest(common)
    file = common / changed

    file.write_bytes(file.read_bytes() + b" ")

    assert code_digest(common) != before


def test_a_copy_in_another_folder_has_the_same_code_digest(tmp_path: Path) -> None:
    source = Path(sensorwatch.common.__path__[0])
    shutil.copytree(source, tmp_path / "installed")

    assert code_digest(tmp_path / "installed") == code_digest(source)
