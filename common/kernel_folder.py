"""The folder for compiled kernels: one that this user can write, or a private temporary one."""

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
"""Names the private temporary folder to child processes, so that they share it."""

_log = logging.getLogger("sensorwatch.kernels")


def kernel_folder(sources: Path) -> Path | None:
    """Return the folder for the compiled kernels of the folder `sources`; None: there is none.

    The first writable one of: a subfolder of NUMBA_CACHE_DIR, `__pycache__` in `sources`, a
    subfolder of the user's cache folder, a subfolder of a private temporary folder. Logs one
    warning if the private folder is needed.
    """
    own = _own_folder(sources, os.environ.get("NUMBA_CACHE_DIR"))
    if own is not None:
        return own
    private = _private_folder(sources)
    return None if private is None else private / _name_of(sources)


@cache
def _own_folder(sources: Path, numba_cache_dir: str | None) -> Path | None:
    candidates = _candidates(sources, numba_cache_dir)
    return next((folder for folder in candidates if _is_writable(folder)), None)


def _candidates(sources: Path, numba_cache_dir: str | None) -> Iterator[Path]:
    if numba_cache_dir:
        yield Path(numba_cache_dir) / _name_of(sources)
    yield sources / "__pycache__"
    user = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(user) if Path(user).is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # a user without a home folder
        return
    yield base / "sensorwatch" / _name_of(sources)


def _name_of(sources: Path) -> str:
    """Return a name that two folders of sources do not share."""
    return f"{sources.name}_{hashlib.sha256(os.fsencode(sources)).hexdigest()[:16]}"


def _is_writable(folder: Path) -> bool:
    # Permission bits do not say it all: a file system may be read-only or full.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _private_folder(sources: Path) -> Path | None:
    inherited = os.environ.get(PRIVATE_FOLDER_VARIABLE)
    if inherited and _is_private(Path(inherited)):
        return Path(inherited)
    made = _make_private_folder(sources)
    # A cleaner of temporary files may have removed it, and another user may have made it again.
    return made if made is not None and _is_private(made) else None


@cache
def _make_private_folder(sources: Path) -> Path | None:
    """Make a folder of an unpredictable name and mode 0700; it is removed when this process ends.

    A cache is code that is loaded, so no other user may be able to prepare it.
    """
    tried = [str(folder) for folder in _candidates(sources, os.environ.get("NUMBA_CACHE_DIR"))]
    try:
        folder = Path(tempfile.mkdtemp(prefix="sensorwatch-kernels-"))
    except OSError:
        _warn("are not kept, and every process compiles them again", tried)
        return None
    os.environ[PRIVATE_FOLDER_VARIABLE] = str(folder)
    atexit.register(_remove, folder, os.getpid())
    _warn("go to a temporary folder, and every start compiles them again", tried)
    return folder


def _is_private(folder: Path) -> bool:
    """Say whether it is a folder, no link, that only this user can enter."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    mode = status.st_mode
    return stat.S_ISDIR(mode) and status.st_uid == os.geteuid() and not mode & 0o077


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not a forked child
        shutil.rmtree(folder, ignore_errors=True)


def _warn(consequence: str, tried: list[str]) -> None:
    _log.warning(
        "user %d cannot write a folder for compiled kernels (tried %s). The kernels %s, which "
        "takes up to a minute. Set NUMBA_CACHE_DIR to a folder that this user can write; "
        "`sensorwatch warmup`, run as this user, then compiles ahead",
        os.geteuid(),
        ", ".join(tried),
        consequence,
    )
