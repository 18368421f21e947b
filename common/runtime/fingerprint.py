"""Computes a fingerprint of everything that decides the bits of a score on this machine."""

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm

import sensorwatch.common

_LIBRARIES = ("llvmlite", "msgspec", "numba", "numpy", "tzdata")
_FOLDERS = ("rows", "model", "policy", "scoring", "ledger")
_FILES = ("kernels.py", "row_executor.py")


@cache
def fingerprint() -> str:
    """Return 12 hex digits that identify the scoring code, its libraries and the kind of CPU.

    Two processes with the same fingerprint give every row a bit-identical score. If the fingerprint
    changes, the ledger's digest begins a new segment. The C library counts as a library, because
    compiled code calls its logarithm.
    """
    environment_texts = [f"{name} {version(name)}" for name in _LIBRARIES]
    environment_texts += [platform.python_version(), platform.machine(), llvm.get_host_cpu_name()]
    environment_texts += platform.libc_ver()
    digest = hashlib.sha256("\n".join(environment_texts).encode())
    digest.update(code_digest(Path(sensorwatch.common.__path__[0])))
    return digest.hexdigest()[:12]


def code_digest(common: Path) -> bytes:
    """Return the SHA-256 of all source files in `common` that parse, score or account for rows.

    The digest contains no absolute paths, so a checkout and an installed wheel have the same
    digest.
    """
    files = [common / name for name in _FILES]
    files += [file for folder in _FOLDERS for file in (common / folder).rglob("*.py")]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.relative_to(common).as_posix()}\n".encode())
        digest.update(file.read_bytes())
    return digest.digest()
