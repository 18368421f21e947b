"""The jars of Apache Kafka, which Maven downloads once to a cache folder."""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

KAFKA_VERSION = "4.1.0"
_POM = Path(__file__).with_name("pom.xml")
_DOWNLOAD_SECONDS = 600


class JarsMissing(Exception):
    """The machine cannot run a broker from jars; the text says what is missing."""


def reason_java_is_missing() -> str | None:
    """Return why a broker cannot be run from jars, or None if it can."""
    java = shutil.which("java")
    if java is None:
        return "no `java` (17 or newer) on the PATH"
    version = _java_version(java)
    if version < 17:
        return f"`java` is version {version}, expected 17 or newer"
    if not _cache().exists() and shutil.which("mvn") is None:
        return f"no `mvn` on the PATH to download the jars, and no {_cache()}"
    return None


def kafka_jars() -> Path:
    """Return the folder of the jars; the first call downloads them (54 MB).

    Raises JarsMissing with the end of Maven's output if Maven fails.
    """
    cache = _cache()
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.with_name(cache.name + ".lock"), timeout=_DOWNLOAD_SECONDS):
        if not cache.exists():
            _download(cache)
    return cache


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "sensorwatch" / f"kafka-{KAFKA_VERSION}"


def _java_version(java: str) -> int:
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', output.stderr + output.stdout)
    return int(match[1]) if match else 0


def _download(cache: Path) -> None:
    # Only a complete folder gets its final name, so an existing folder is always usable.
    partial_folder = Path(tempfile.mkdtemp(dir=cache.parent, prefix="fetching-"))
    try:
        _run_maven(partial_folder)
        partial_folder.chmod(0o755)
        partial_folder.rename(cache)
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(partial_folder)


def _run_maven(folder: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies"]
    command.append(f"-DoutputDirectory={folder}")
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JarsMissing(f"Maven could not fetch Kafka {KAFKA_VERSION}: {error}") from error
    if result.returncode != 0 or not list(folder.glob("kafka_*.jar")):
        raise JarsMissing(
            f"Maven could not fetch Kafka {KAFKA_VERSION} (exit {result.returncode}): "
            + (result.stdout + result.stderr)[-2000:]
        )
