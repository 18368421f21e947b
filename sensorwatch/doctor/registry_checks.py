"""Checks of the registry: lock, champion, schema and audit log."""

from collections.abc import Iterator

from sensorwatch.common.errors import ModelRefused, UsageError
from sensorwatch.common.registry.model_folder import ModelFolder
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import schema_file
from sensorwatch.doctor.finding import Finding, failed, ok, warning

LOCK_SECONDS = 2.0
"""Longest wait for the lock of the registry. A change takes less time, except a registration."""


def check_registry(settings: Settings) -> Iterator[Finding]:
    """Check the model of the settings. A missing folder is not created."""
    name = settings.registry.model
    model_folder = ModelFolder(settings.registry.path, name)
    if not model_folder.folder.is_dir():
        yield failed(
            "registry",
            f'there is no model "{name}" in {settings.registry.path}',
            "`sensorwatch train --data FILE`, or correct [registry] path and model",
        )
        return
    yield _lock_finding(model_folder)
    registry = Registry(settings.registry.path)
    yield from _champion_findings(registry, settings)
    problems = registry.verify_audit(name)
    if problems:
        yield failed(
            "audit", f"the audit log of {name}: {'; '.join(problems)}", "`sensorwatch models audit`"
        )
    else:
        yield ok("audit", f"{len(registry.audit(name))} lines, the chain is intact")


def _lock_finding(model_folder: ModelFolder) -> Finding:
    try:
        with model_folder.locked(LOCK_SECONDS):
            return ok("registry", f"{model_folder.folder} can be changed")
    except UsageError as error:
        # A service only reads the registry, so this does not stop it.
        return warning("registry", str(error))


def _champion_findings(registry: Registry, settings: Settings) -> Iterator[Finding]:
    name = settings.registry.model
    try:
        champion = registry.resolve(name, "champion")
        problems = registry.verify(name, champion)
        manifest = None if problems else registry.manifest(name, champion)
    except ModelRefused as error:
        yield failed("champion", str(error))
        return
    if manifest is None:
        yield failed(
            "champion",
            f"{champion} is damaged: {'; '.join(problems)}",
            "`sensorwatch models rollback`, or train again",
        )
        return
    yield ok("champion", f"{champion}, created {manifest.created:%Y-%m-%d}, is sound")
    path = schema_file(settings)
    if path.exists() and load_schema(path).fingerprint != manifest.schema_fingerprint:
        yield warning(
            "champion",
            f"{champion} was trained with another schema than {path}; workers use the schema of "
            "the model",
            "train again, or correct [schema] path",
        )
