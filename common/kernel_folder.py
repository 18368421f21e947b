"""Selects a folder for compiled kernels: a writable cache folder or a private temporary folder."""

import atexit
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PRIVATE_FOLDER_VARIABLE = "SENSORWATCH_PRIVATE_KERNELS"
"""Environment variable with the private temporary folder; child processes then share the folder."""

_log = logging.getLogger("sensorwatch.kernels")


def kernel_folder(source_folder: Path) -> Path | None:
    """Return the folder for the compiled kernels of `source_folder`, or None.

    The first folder that can be written is used: a subfolder of NUMBA_CACHE_DIR, `__pycache__` in
    `source_folder`, a subfolder of the user's cache folder, a subfolder of a private temporary
    folder. Returns None if none can be written. Logs one warning if the first
    three cannot be written.
    """
    own_folder = _own_folder(source_folder, os.environ.get("NUMBA_CACHE_DIR"))
    if own_folder is not None:
        return own_folder
    private_folder = _private_folder(source_folder)
    return None if private_folder is None else private_folder / _unique_name(source_folder)


@cache
def _own_folder(source_folder: Path, numba_cache_dir: str | None) -> Path | None:
    candidate_folders = _candidate_folders(source_folder, numba_cache_dir)
    return next((folder for folder in candidate_folders if _is_writable(folder)), None)


def _candidate_folders(source_folder: Path, numba_cache_dir: str | None) -> Iterator[Path]:
    if numba_cache_dir:
        yield Path(numba_cache_dir) / _unique_name(source_folder)
    yield source_folder / "__pycache__"
    user_cache_text = os.environ.get("XDG_CACHE_HOME", "")
    try:
        user_cache = (
            Path(user_cache_text) if Path(user_cache_text).is_absolute() else Path.home() / ".cache"
        )
    except RuntimeError:  # the user has no home folder
        return
    yield user_cache / "sensorwatch" / _unique_name(source_folder)


def _unique_name(source_folder: Path) -> str:
    """Return a folder name that is different for each source folder."""
    return f"{source_folder.name}_{hashlib.sha256(os.fsencode(source_folder)).hexdigest()[:16]}"


def _is_writable(folder: Path) -> bool:
    # Permission bits are not enough: the file system may be read-only or full.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _private_folder(source_folder: Path) -> Path | None:
    inherited_folder = os.environ.get(PRIVATE_FOLDER_VARIABLE)
    if inherited_folder and _is_private(Path(inherited_folder)):
        return Path(inherited_folder)
    private_folder = _make_private_folder(source_folder)
    # Since its creation, the folder may have been removed by a clean-up of temporary files, and
    # another user may have created a folder of the same name.
    return private_folder if private_folder is not None and _is_private(private_folder) else None


@cache
def _make_private_folder(source_folder: Path) -> Path | None:
    """Make a folder with an unpredictable name and mode 0700, to be deleted when the process ends.

    The folder will contain code that is executed, so no other user may be able to write to it.
    """
    tried_folders = [
        str(folder)
        for folder in _candidate_folders(source_folder, os.environ.get("NUMBA_CACHE_DIR"))
    ]
    try:
        folder = Path(tempfile.mkdtemp(prefix="sensorwatch-kernels-"))
    except OSError:
        _log_warning("are not kept, and every process compiles them again", tried_folders)
        return None
    os.environ[PRIVATE_FOLDER_VARIABLE] = str(folder)
    atexit.register(_remove_folder, folder, os.getpid())
    _log_warning("go to a temporary folder, and every start compiles them again", tried_folders)
    return folder


def _is_private(folder: Path) -> bool:
    """Return whether the path is a folder (not a link) that only this user can enter."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    mode = status.st_mode
    return stat.S_ISDIR(mode) and status.st_uid == os.geteuid() and not mode & 0o077


def _remove_folder(folder: Path, owner_process: int) -> None:
    if os.getpid() == owner_process:  # a forked child must not remove the folder
        shutil.rmtree(folder, ignore_errors=True)


def _log_warning(consequence: str, tried_folders: list[str]) -> None:
    _log.warning(
        "user %d cannot write a folder for compiled kernels (tried %s). The kernels %s, which "
        "takes up to a minute. Set NUMBA_CACHE_DIR to a folder that this user can write; "
        "`sensorwatch warmup`, run as this user, then compiles ahead",
        os.geteuid(),
        ", ".join(tried_folders),
        consequence,
    )
