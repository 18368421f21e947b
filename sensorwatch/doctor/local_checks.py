"""Checks of this computer: configuration, schema, versions, disk and compiled kernels."""

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from confluent_kafka import libversion

from sensorwatch.commands.config_command import check_clients, check_key_file, delivery_notes
from sensorwatch.common.kernels import all_cached
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.build import project_version
from sensorwatch.common.runtime.kernel_compilation import kept_kernel_folder
from sensorwatch.common.runtime.settings import LoadedSettings, Settings, schema_file
from sensorwatch.doctor.finding import Finding, failed, ok, warning

LIBRARIES = ("confluent-kafka", "numba", "numpy", "scikit-learn")
WARNING_FREE_BYTES, FAILED_FREE_BYTES = 1 << 30, 100 << 20
"""Free disk space below which a check warns or fails."""


def check_configuration(loaded: LoadedSettings) -> Iterator[Finding]:
    """Check the settings, as `config check` does. Raises SettingsError."""
    settings = loaded.settings
    check_clients(settings)
    check_key_file(settings.api.api_key_file)
    changed = sum(origin != "default" for origin in loaded.origins.values())
    yield ok("configuration", f"valid; {changed} values are set, all others have their defaults")
    for note in delivery_notes(settings):
        yield warning("configuration", note)


def check_versions() -> Iterator[Finding]:
    """Say which versions are installed."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield ok(
        "versions",
        f"sensorwatch {project_version()}, Python {platform.python_version()}, {libraries}, "
        f"librdkafka {libversion()[0]}",
    )


def check_schema(settings: Settings) -> Iterator[Finding]:
    """Read the schema file. Raises SchemaError."""
    path = schema_file(settings)
    if not path.exists():
        yield failed(
            "schema",
            f"there is no schema {path}",
            "write it with `sensorwatch schema infer FILE`, or correct [schema] path",
        )
        return
    signals = [signal.name for signal in load_schema(path).signals]
    yield ok("schema", f"{path}: signals {', '.join(signals)}")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Check the free space for the registry and for compiled kernels."""
    folders = {"the registry": settings.registry.path}
    kernels = kept_kernel_folder()
    if kernels is not None:
        folders["compiled kernels"] = kernels
    for purpose, folder in folders.items():
        existing_folder = _existing_parent(folder)
        free_bytes = shutil.disk_usage(existing_folder).free
        text = f"{free_bytes / (1 << 30):.1f} GiB free for {purpose} ({existing_folder})"
        if free_bytes >= WARNING_FREE_BYTES:
            yield ok("disk", text)
        else:
            report = failed if free_bytes < FAILED_FREE_BYTES else warning
            yield report("disk", text, "delete old files, or `sensorwatch models prune --keep N`")


def check_kernels() -> Iterator[Finding]:
    """Check whether the kernels are compiled for this version and this CPU."""
    # The import registers the kernels of scoring and of parsing.
    import sensorwatch.common.scoring.processing  # noqa: F401

    folder = kept_kernel_folder()
    if folder is None:
        yield warning(
            "kernels",
            "compiled kernels cannot be kept, so every start compiles them",
            "set NUMBA_CACHE_DIR to a folder that this user can write",
        )
    elif not all_cached():
        yield warning(
            "kernels",
            f"not all kernels are compiled in {folder}; the first start takes up to two minutes",
            "`sensorwatch warmup`",
        )
    else:
        yield ok("kernels", f"compiled, in {folder}")


def _existing_parent(folder: Path) -> Path:
    path = folder.absolute()
    return next((parent for parent in (path, *path.parents) if parent.is_dir()), Path("/"))
