"""Writes files so that no half-written content remains after a kill or a power cut."""

import os
import secrets
from pathlib import Path


def write_new(path: Path, content: bytes) -> None:
    """Write and sync a file that must not exist yet; the folder of the file is not synced."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file's content atomically: a reader sees the old or the new content."""
    temporary_path = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        write_new(temporary_path, content)
        temporary_path.replace(path)
    except BaseException:
        temporary_path.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_to_file(path: Path, content: bytes) -> None:
    """Append to a file and sync it; create the file if it does not exist."""
    is_new = not path.exists()
    with path.open("ab", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that the names of its files are durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
