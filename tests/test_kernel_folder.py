"""If no usual folder is writable, kernels are compiled into a private temporary folder.

No other user can write to the temporary folder or create it beforehand.
"""

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
NOBODY_UID = 65_534
# The user `nobody` may be unable to read Python's own folder. Therefore the script imports numba
# and compiles a function while it is still root.
BECOME_NOBODY_SCRIPT = f"""
import os
import numba, numpy
numba.njit(lambda column: column.sum())(numpy.ones(1))
os.setgroups([])
os.setgid({NOBODY_UID})
os.setuid({NOBODY_UID})
"""
KERNEL_SCRIPT = """
import os
import numpy as np
from sensorwatch.common.model.tails import fit_tail, rarity
assert rarity(fit_tail(np.ones(9)), np.ones(2)).tolist() == [0.0, 0.0]
print(os.environ.get("SENSORWATCH_PRIVATE_KERNELS"))
"""


@pytest.fixture
def unwritable_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a source folder; its kernels can be stored only in a private temporary folder.

    The paths of the other folders (`__pycache__` in the sources, NUMBA_CACHE_DIR and the user's
    cache folder) are files, so not even root can store kernels there.
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
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_the_first_writable_folder_is_used(
    unwritable_sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    user_folder = kernel_folder(unwritable_sources)
    (unwritable_sources / "__pycache__").unlink()
    module._own_folder.cache_clear()
    pycache_folder = kernel_folder(unwritable_sources)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    numba_folder = kernel_folder(unwritable_sources)

    assert user_folder is not None
    assert user_folder.parent == tmp_path / "user" / "sensorwatch"
    assert pycache_folder == unwritable_sources / "__pycache__"
    assert numba_folder is not None
    assert numba_folder.parent == tmp_path / "numba"


def test_without_a_writable_folder_a_private_folder_is_made_with_one_warning(
    unwritable_sources: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = kernel_folder(unwritable_sources)
    second_folder = kernel_folder(unwritable_sources)
    other_sources_folder = kernel_folder(unwritable_sources / "__pycache__")

    assert folder is not None
    assert folder == second_folder
    private_folder = folder.parent
    assert private_folder.parent == tmp_path
    assert other_sources_folder is not None
    assert other_sources_folder.parent == private_folder
    folder_status = private_folder.stat()
    assert (stat.S_IMODE(folder_status.st_mode), folder_status.st_uid) == (0o700, os.geteuid())
    (warning,) = warnings_in(caplog)
    for expected_text in (
        str(unwritable_sources / "__pycache__"),
        "NUMBA_CACHE_DIR",
        "sensorwatch warmup",
    ):
        assert expected_text in warning


def test_a_child_process_shares_the_private_folder_without_a_warning(
    unwritable_sources: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = kernel_folder(unwritable_sources)
    caplog.clear()
    module._make_private_folder.cache_clear()  # as in a new process

    assert kernel_folder(unwritable_sources) == folder
    assert warnings_in(caplog) == []


@pytest.mark.parametrize("preparation", ["open_to_all", "link", "missing"])
def test_a_folder_that_another_user_could_have_prepared_is_not_used(
    unwritable_sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preparation: str
) -> None:
    prepared_folder = tmp_path / "prepared"
    if preparation == "open_to_all":
        prepared_folder.mkdir()
        prepared_folder.chmod(0o777)
    elif preparation == "link":
        link_target = tmp_path / "target"
        link_target.mkdir(mode=0o700)
        prepared_folder.symlink_to(link_target)
    monkeypatch.setenv(PRIVATE_FOLDER_VARIABLE, str(prepared_folder))

    folder = kernel_folder(unwritable_sources)

    assert folder is not None
    assert folder.parent != prepared_folder


def test_a_folder_of_another_user_is_not_used(
    unwritable_sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared_folder = tmp_path / "prepared"
    prepared_folder.mkdir(mode=0o700)
    monkeypatch.setenv(PRIVATE_FOLDER_VARIABLE, str(prepared_folder))
    owner_id = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner_id + 1)

    assert kernel_folder(unwritable_sources) is None


def test_a_private_folder_that_was_replaced_is_not_used_again(
    unwritable_sources: Path, tmp_path: Path
) -> None:
    folder = kernel_folder(unwritable_sources)
    assert folder is not None
    folder.parent.rmdir()
    folder.parent.mkdir()
    folder.parent.chmod(0o777)

    assert kernel_folder(unwritable_sources) is None


def test_without_a_temporary_folder_kernels_have_no_folder_and_one_warning_is_logged(
    unwritable_sources: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(unwritable_sources / "missing"))

    assert kernel_folder(unwritable_sources) is None
    assert kernel_folder(unwritable_sources) is None
    assert len(warnings_in(caplog)) == 1


def use_a_kernel_as_nobody(
    numba_cache_dir: Path | None, home_folder: Path
) -> "subprocess.CompletedProcess[str]":
    """Use a kernel in a process that changes to the user `nobody`, which cannot write anywhere."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home_folder), "PYTHONPATH": str(ROOT)}
    if numba_cache_dir is not None:
        environment["NUMBA_CACHE_DIR"] = str(numba_cache_dir)
    return subprocess.run(
        [sys.executable, "-c", BECOME_NOBODY_SCRIPT + KERNEL_SCRIPT],
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
    """Root installs the package, and a user without a home folder runs it.

    If `used_by_root`, root has already compiled kernels into the folder NUMBA_CACHE_DIR.
    """
    numba_cache_dir = None
    if used_by_root:
        numba_cache_dir = tmp_path / "numba"
        environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": str(numba_cache_dir),
            "PYTHONPATH": str(ROOT),
        }
        subprocess.run([sys.executable, "-c", KERNEL_SCRIPT], env=environment, check=True)
        assert list(numba_cache_dir.iterdir())

    process = use_a_kernel_as_nobody(numba_cache_dir, tmp_path / "missing")

    assert process.returncode == 0, process.stderr
    assert len(process.stderr.splitlines()) == 1
    assert "`sensorwatch warmup`" in process.stderr
    assert not Path(process.stdout.strip()).exists(), (
        "the private folder was not removed when the process ended"
    )
