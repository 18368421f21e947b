"""Downloads the jars of Apache Kafka with Maven, once, to a cache folder."""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

KAFKA_VERSION = "4.1.0"
_POM_FILE = Path(__file__).with_name("pom.xml")
_DOWNLOAD_SECONDS = 600


class JarsMissing(Exception):
    """The machine cannot run a broker from jars; the text says what is missing."""


def reason_java_is_missing() -> str | None:
    """Return why this machine cannot run a broker from jars; None means that it can."""
    java_path = shutil.which("java")
    if java_path is None:
        return "no `java` (17 or newer) on the PATH"
    version = _java_version(java_path)
    if version < 17:
        return f"`java` is version {version}, expected 17 or newer"
    if not _cache_folder().exists() and shutil.which("mvn") is None:
        return f"no `mvn` on the PATH to download the jars, and no {_cache_folder()}"
    return None


def kafka_jars() -> Path:
    """Return the folder of the jars; the first call downloads them (54 MB).

    Raises JarsMissing with the end of Maven's output if Maven fails.
    """
    cache_folder = _cache_folder()
    cache_folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder.with_name(cache_folder.name + ".lock"), timeout=_DOWNLOAD_SECONDS):
        if not cache_folder.exists():
            _download_jars(cache_folder)
    return cache_folder


def _cache_folder() -> Path:
    cache_root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache_root) / "sensorwatch" / f"kafka-{KAFKA_VERSION}"


def _java_version(java_path: str) -> int:
    output = subprocess.run([java_path, "-version"], capture_output=True, text=True, check=False)
    version_match = re.search(r'version "(?:1\.)?(\d+)', output.stderr + output.stdout)
    return int(version_match[1]) if version_match else 0


def _download_jars(cache_folder: Path) -> None:
    # A folder gets its final name only after a complete download, so no incomplete cache is used.
    partial_folder = Path(tempfile.mkdtemp(dir=cache_folder.parent, prefix="fetching-"))
    try:
        _run_maven(partial_folder)
        partial_folder.chmod(0o755)
        partial_folder.rename(cache_folder)
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(partial_folder)


def _run_maven(folder: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(_POM_FILE), "dependency:copy-dependencies"]
    command.append(f"-DoutputDirectory={folder}")
    try:
        completed_process = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JarsMissing(f"Maven could not fetch Kafka {KAFKA_VERSION}: {error}") from error
    if completed_process.returncode != 0 or not list(folder.glob("kafka_*.jar")):
        raise JarsMissing(
            f"Maven could not fetch Kafka {KAFKA_VERSION} (exit {completed_process.returncode}): "
            + (completed_process.stdout + completed_process.stderr)[-2000:]
        )
