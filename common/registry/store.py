"""The registry of model versions: reads, registers, promotes, rolls back and prunes them."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sensorwatch.common.errors import CheckFailed, ModelRefused, UsageError
from sensorwatch.common.registry.aliases import CHAMPION, PREVIOUS, Aliases, read_aliases
from sensorwatch.common.registry.audit import Action, AuditEntry
from sensorwatch.common.registry.candidate import Candidate
from sensorwatch.common.registry.durable_files import sync_folder, write_new
from sensorwatch.common.registry.evaluation_reports import (
    newest_report,
    next_report,
    promotion_obstacle,
    report_bytes,
    report_detail,
    report_problems,
)
from sensorwatch.common.registry.locked_change import (
    aliases_or_none,
    damaged_policies,
    locked_change,
    log_mismatches,
)
from sensorwatch.common.registry.manifest import ModelManifest, ModelVersion
from sensorwatch.common.registry.model_folder import ModelFolder
from sensorwatch.common.registry.model_names import (
    current_user,
    is_model_name,
    ordinal_of,
    require_model_name,
)
from sensorwatch.common.registry.version_files import build_contents, manifest_for, write_version
from sensorwatch.common.registry.version_loading import load_manifest, load_version


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """A folder of named models and their versions.

    Any number of processes may read and change the folder at the same time. A change that is killed
    at any point leaves the registry intact. `now` returns the time for manifests and audit entries.
    """

    def __init__(self, root: Path, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._root = root
        self._now = now

    # The methods from here to `verify_audit` only read. Reading needs no lock, because versions
    # never change, and aliases change atomically.

    def names(self) -> list[str]:
        """Return the names of the models that have a version."""
        folders = [path.parent.name for path in self._root.glob("*/versions")]
        return sorted(name for name in folders if is_model_name(name) and self.version_ids(name))

    def version_ids(self, name: str) -> list[str]:
        """Return the ids of a model's versions, oldest first, including damaged ones."""
        return self._model_folder(name).version_ids()

    def versions(self, name: str) -> list[ModelManifest]:
        """Return the manifests of a model's versions, oldest first.

        Raises ModelRefused if one is damaged. Use `version_ids` and `manifest` to find the damaged
        version.
        """
        return [self.manifest(name, version) for version in self.version_ids(name)]

    def manifest(self, name: str, version: str) -> ModelManifest:
        """Return a version's manifest; raises ModelRefused if it is damaged or missing."""
        try:
            return load_manifest(self._version_folder(name, version))
        except ModelRefused as error:
            raise ModelRefused(f"model version {version}: {error}") from error

    def aliases(self, name: str) -> dict[str, str]:
        """Return the version of each alias; raises ModelRefused if the file is damaged."""
        return self.current_aliases(name).to_plain()

    def current_aliases(self, name: str) -> Aliases:
        """Return the aliases, read from one small file; raises ModelRefused if it is damaged."""
        return read_aliases(self._model_folder(name).aliases)

    def resolve(self, name: str, ref: str) -> str:
        """Return the id of the version that `ref` names; `ref` is an alias or a version id.

        Raises ModelRefused if `ref` is unknown.
        """
        folder = self._model_folder(name)
        is_alias = ref in (CHAMPION, PREVIOUS)
        version = read_aliases(folder.aliases).to_plain().get(ref) if is_alias else ref
        # Only a well-formed id becomes part of a path.
        if version is None or ordinal_of(name, version) is None:
            raise ModelRefused(self._unknown_text(name, ref))
        if not is_alias and version not in folder.version_ids():
            raise ModelRefused(self._unknown_text(name, ref))
        return version

    def load(self, name: str, ref: str = CHAMPION) -> ModelVersion:
        """Return a version after verifying its digests, bounds and golden rows, without unpickling.

        Raises ModelRefused if it is damaged, of a newer format, or missing.
        """
        return load_version(self._version_folder(name, ref))

    def report(self, name: str, version: str) -> dict[str, Any] | None:
        """Return a version's newest evaluation report, or None."""
        return newest_report(self._version_folder(name, version))

    def verify(self, name: str, version: str) -> list[str]:
        """Return every problem of a version; an empty list if it is intact."""
        folder = self._version_folder(name, version)
        entries = self.audit(name)
        problems = report_problems(folder, entries)
        try:
            manifest = load_version(folder).manifest
        except ModelRefused as error:
            return [str(error), *problems]
        registrations = [
            e for e in entries if e.action is Action.REGISTER and e.version == folder.name
        ]
        if not registrations or registrations[-1].detail.get("manifest") != manifest.digest:
            problems.append("its manifest is not the one that the audit log recorded")
        return problems

    def audit(self, name: str) -> list[AuditEntry]:
        """Return the readable entries of a model's audit log."""
        return self._model_folder(name).log.entries()

    def verify_audit(self, name: str) -> list[str]:
        """Return one text per break in the audit log, and one per difference from the folder.

        A policy is different if it is missing, was never applied, or has another content.
        """
        folder = self._model_folder(name)
        if not folder.folder.is_dir():
            return []
        problems = _audit_problems(folder)
        # Another process may have written an entry and not yet made the change, so problems are
        # checked again with the lock taken. A reader without write access cannot take the lock.
        if problems and os.access(folder.folder, os.W_OK):
            with folder.locked():
                problems = _audit_problems(folder)
        return problems

    # The methods from here on change a model's folder and take its lock. Each audit entry is
    # written before the change that it records.

    def register(self, name: str, candidate: Candidate, *, who: str, why: str) -> str:
        """Store a candidate as a new version and return its id.

        The version becomes champion if the model has none. Raises ModelRefused if the stored
        candidate cannot be loaded again.
        """
        contents = build_contents(candidate)
        with locked_change(self._model_folder(name), who, self._now) as change:
            aliases = aliases_or_none(change.folder)
            manifest = manifest_for(
                candidate,
                contents,
                name=name,
                ordinal=change.next_ordinal(),
                parent=aliases.champion if aliases else None,
                created=self._now(),
            )
            with change.folder.staging_folder(manifest.id) as folder:
                write_version(folder, contents, manifest)
                digest = load_version(folder).manifest.digest
                change.log_action(Action.REGISTER, manifest.id, why, {"manifest": digest})
                change.folder.add_version(folder, manifest.id)
            if aliases is not None and aliases.champion is None:
                first_aliases = Aliases(champion=manifest.id, previous=aliases.previous)
                change.move_aliases(Action.PROMOTE, first_aliases, "there was no champion")
        return manifest.id

    def promote(
        self, name: str, version: str, *, who: str, why: str, force: str | None = None
    ) -> None:
        """Make a version the champion; the champion before it becomes the previous version.

        `force`: the reason to promote a version without a passing report. Raises CheckFailed if the
        version has no passing report and `force` is None, and ModelRefused if the version cannot be
        loaded.
        """
        if force is not None and not force.strip():
            raise UsageError("promoting by force needs a reason: give it with --reason")
        folder = self._version_folder(name, version)
        with locked_change(self._model_folder(name), who, self._now) as change:
            load_version(folder)
            obstacle = promotion_obstacle(folder, change.folder.log.entries())
            if obstacle and force is None:
                raise CheckFailed(
                    f"{folder.name} was not promoted: {obstacle}; evaluate it with `sensorwatch "
                    f"evaluate --data FILE --model {folder.name}`, or promote it with --force "
                    "--reason TEXT"
                )
            aliases = aliases_or_none(change.folder) or Aliases()
            is_champion = aliases.champion == folder.name
            target = Aliases(folder.name, aliases.previous if is_champion else aliases.champion)
            detail = {"force": force, "without": obstacle} if obstacle else {}
            change.move_aliases(Action.PROMOTE, target, why, detail)

    def rollback(self, name: str, *, who: str, why: str) -> str:
        """Make the previous version the champion again, and return its id.

        Raises ModelRefused if there is no previous version or it cannot be loaded.
        """
        self.resolve(name, PREVIOUS)
        with locked_change(self._model_folder(name), who, self._now) as change:
            version = self.load(name, PREVIOUS).manifest.id
            champion = read_aliases(change.folder.aliases).champion
            change.move_aliases(Action.ROLLBACK, Aliases(version, champion), why)
        return version

    def attach_report(
        self, name: str, version: str, report: dict[str, Any], *, who: str | None = None
    ) -> Path:
        """Store an evaluation report, a JSON object with "passed", beside a version.

        `who`: the user in the audit log; if None, the user of this process.
        """
        content = report_bytes(report)
        folder = self._version_folder(name, version)
        with locked_change(self._model_folder(name), who or current_user(), self._now) as change:
            # A prune may have deleted the version before the lock was taken.
            self.resolve(name, folder.name)
            path = next_report(folder)
            detail = report_detail(path, content, passed=report["passed"])
            change.log_action(Action.EVALUATE, folder.name, "evaluated", detail)
            path.parent.mkdir(exist_ok=True)
            write_new(path, content)
            sync_folder(path.parent)
        return path

    def prune(
        self, name: str, *, keep: int, who: str, why: str, in_use: frozenset[str] = frozenset()
    ) -> list[str]:
        """Delete all versions except the newest `keep`, and return the deleted ids.

        The champion, the previous version and the versions in `in_use` are always kept. The
        leftover files of interrupted changes are removed too.
        """
        if keep < 0:
            raise UsageError(f"keep must be 0 or more, found {keep}")
        if not self._model_folder(name).folder.is_dir():
            raise ModelRefused(self._unknown_text(name, CHAMPION))
        with locked_change(self._model_folder(name), who, self._now) as change:
            change.folder.remove_leftovers()
            protected_versions = in_use | set(
                read_aliases(change.folder.aliases).to_plain().values()
            )
            version_ids = change.folder.version_ids()
            deleted_versions = [
                version
                for version in version_ids[: max(len(version_ids) - keep, 0)]
                if version not in protected_versions
            ]
            for version in deleted_versions:
                change.delete(version, why)
        return deleted_versions

    def _model_folder(self, name: str) -> ModelFolder:
        return ModelFolder(self._root, require_model_name(name))

    def _version_folder(self, name: str, ref: str) -> Path:
        return self._model_folder(name).versions / self.resolve(name, ref)

    def _unknown_text(self, name: str, ref: str) -> str:
        version_ids = self.version_ids(name)
        if not version_ids:
            model_names = ", ".join(self.names()) or "none"
            return (
                f"the registry {self._root} has no model {name} (its models: {model_names}): train "
                "one with `sensorwatch train`, or correct [registry] path and model"
            )
        newest_ids = ", ".join(version_ids[-10:])
        if ref in (CHAMPION, PREVIOUS):
            return (
                f"model {name} has no {ref}: make one of {newest_ids} the champion with "
                "`sensorwatch models promote VERSION`"
            )
        return f"model {name} has no version {ref}; the newest are {newest_ids}"


def _audit_problems(folder: ModelFolder) -> list[str]:
    return folder.log.problems() + log_mismatches(folder) + damaged_policies(folder)
