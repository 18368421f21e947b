"""A user that can write no folder still compiles, into a folder that no other user can prepare."""

import logging
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensorwatch.common import kernel_folder as module
from sensorwatch.common.kernel_folder import PRIVATE_FOLDER_VARIABLE, kernel_folder

ROOT = Path(__file__).parents[1]
NOBODY = 65_534
# Python itself may be in a folder of root: import, and compile once, as root.
BECOME_NOBODY = f"""
import os
import numba, numpy
numba.njit(lambda column: column.sum())(numpy.ones(1))
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
"""
USE_A_KERNEL = """
import os
import numpy as np
from sensorwatch.common.model.tails import fit_tail, rarity
assert rarity(fit_tail(np.ones(9)), np.ones(2)).tolist() == [0.0, 0.0]
print(os.environ.get("SENSORWATCH_PRIVATE_KERNELS"))
"""


@pytest.fixture
def unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of sources; it, NUMBA_CACHE_DIR and the user's cache folder cannot be written.

    Not even by root: a file is in the place of each folder.
    """
    sources, file = tmp_path / "sources", tmp_path / "file"
    sources.mkdir()
    file.touch()
    (sources / "__pycache__").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file))
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv(PRIVATE_FOLDER_VARIABLE, raising=False)
    module._make_private_folder.cache_clear()
    yield sources
    os.environ.pop(PRIVATE_FOLDER_VARIABLE, None)
    module._make_private_folder.cache_clear()


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


def test_the_first_writable_folder_is_taken(
    unwritable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    user = kernel_folder(unwritable)
    (unwritable / "__pycache__").unlink()
    module._own_folder.cache_clear()
    beside = kernel_folder(unwritable)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    named = kernel_folder(unwritable)

    assert user is not None
    assert user.parent == tmp_path / "user" / "sensorwatch"
    assert beside == unwritable / "__pycache__"
    assert named is not None
    assert named.parent == tmp_path / "numba"


def test_without_a_writable_folder_a_private_one_is_made_with_one_warning(
    unwritable: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = kernel_folder(unwritable)
    again = kernel_folder(unwritable)
    other = kernel_folder(unwritable / "__pycache__")

    assert folder is not None
    assert folder == again
    private = folder.parent
    assert private.parent == tmp_path
    assert other is not None
    assert other.parent == private
    status = private.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, os.geteuid())
    (warning,) = warnings_in(caplog)
    for needed in (str(unwritable / "__pycache__"), "NUMBA_CACHE_DIR", "sensorwatch warmup"):
        assert needed in warning


def test_a_child_process_shares_the_private_folder_without_a_warning(
    unwritable: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = kernel_folder(unwritable)
    caplog.clear()
    module._make_private_folder.cache_clear()  # as in a process that begins

    assert kernel_folder(unwritable) == folder
    assert warnings_in(caplog) == []


@pytest.mark.parametrize("prepared", ["open_to_all", "link", "gone"])
def test_a_folder_that_another_user_could_have_prepared_is_not_used(
    unwritable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared: str
) -> None:
    named = tmp_path / "prepared"
    if prepared == "open_to_all":
        named.mkdir()
        named.chmod(0o777)
    elif prepared == "link":
        target = tmp_path / "target"
        target.mkdir(mode=0o700)
        named.symlink_to(target)
    monkeypatch.setenv(PRIVATE_FOLDER_VARIABLE, str(named))

    folder = kernel_folder(unwritable)

    assert folder is not None
    assert folder.parent != named


def test_a_folder_of_another_user_is_not_used(
    unwritable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "prepared"
    named.mkdir(mode=0o700)
    monkeypatch.setenv(PRIVATE_FOLDER_VARIABLE, str(named))
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    assert kernel_folder(unwritable) is None


def test_a_private_folder_that_was_replaced_is_not_used_again(
    unwritable: Path, tmp_path: Path
) -> None:
    folder = kernel_folder(unwritable)
    assert folder is not None
    folder.parent.rmdir()
    folder.parent.mkdir()
    folder.parent.chmod(0o777)

    assert kernel_folder(unwritable) is None


def test_without_a_temporary_folder_there_is_none_and_one_warning(
    unwritable: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(unwritable / "missing"))

    assert kernel_folder(unwritable) is None
    assert kernel_folder(unwritable) is None
    assert len(warnings_in(caplog)) == 1


def as_nobody(numba_cache_dir: Path | None, home: Path) -> "subprocess.CompletedProcess[str]":
    """Use a kernel in a process that becomes a user without any folder."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
    if numba_cache_dir is not None:
        environment["NUMBA_CACHE_DIR"] = str(numba_cache_dir)
    return subprocess.run(
        [sys.executable, "-c", BECOME_NOBODY + USE_A_KERNEL],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def needs_another_user() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")


@pytest.mark.usefixtures("needs_another_user")
@pytest.mark.parametrize("used_by_root", [False, True])
def test_a_service_account_compiles_with_one_warning(tmp_path: Path, *, used_by_root: bool) -> None:
    """Installed by root and run by a user without a home folder; root has used NUMBA_CACHE_DIR."""
    named = None
    if used_by_root:
        named = tmp_path / "numba"
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(named), "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", USE_A_KERNEL], env=environment, check=True)
        assert list(named.iterdir())

    done = as_nobody(named, tmp_path / "missing")

    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "`sensorwatch warmup`" in done.stderr
    assert not Path(done.stdout.strip()).exists(), "removed when the process ended"
