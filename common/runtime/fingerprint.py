"""A fingerprint of what decides the last bit of a score on this machine."""

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm

import sensorwatch.common.kernels
import sensorwatch.common.rows
import sensorwatch.common.scoring

_LIBRARIES = ("llvmlite", "msgspec", "numba", "numpy")


@cache
def fingerprint() -> str:
    """12 hex digits of the code that parses and scores, its libraries, and the CPU kind.

    The C library is one of them: compiled code calls its logarithm.

    Two processes with the same fingerprint give every row the same bits; with different ones a new
    segment of the ledger's digest begins.
    """
    parts = [f"{name} {version(name)}" for name in _LIBRARIES]
    parts += [platform.python_version(), platform.machine(), llvm.get_host_cpu_name()]
    parts += platform.libc_ver()
    digest = hashlib.sha256("\n".join(parts).encode())
    sources = [Path(sensorwatch.common.kernels.__file__)]
    for room in (sensorwatch.common.rows, sensorwatch.common.detection):
        sources += sorted(Path(room.__path__[0]).glob("*.py"))
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
