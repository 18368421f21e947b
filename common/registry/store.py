"""The registry: versions are stored once, aliases move, and the audit log tells everything."""

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
from sensorwatch.common.registry.locked_change import aliases_or_none, locked_change, log_mismatches
from sensorwatch.common.registry.manifest import ModelManifest, ModelVersion
from sensorwatch.common.registry.model_folder import ModelFolder
from sensorwatch.common.registry.model_names import (
    current_user,
    is_model_name,
    ordinal_of,
    require_model_name,
)
from sensorwatch.common.registry.version_files import contents_of, manifest_for, write_version
from sensorwatch.common.registry.version_loading import load_manifest, load_version


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """A folder of named models.

    Any number of processes may read and change it at once; a change that is killed anywhere leaves
    it sound. `now` gives the time that is written down.
    """

    def __init__(self, root: Path, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._root = root
        self._now = now

    # Reading: without the lock, because versions never change and aliases move at once.

    def names(self) -> list[str]:
        """Return the names of the models that have a version."""
        found = [path.parent.name for path in self._root.glob("*/versions")]
        return sorted(name for name in found if is_model_name(name) and self.version_ids(name))

    def version_ids(self, name: str) -> list[str]:
        """Return the ids of a model's versions, oldest first, the damaged ones too."""
        return self._model_folder(name).version_ids()

    def versions(self, name: str) -> list[ModelManifest]:
        """Return the manifests of a model's versions, oldest first.

        Raises ModelRefused where one is damaged; `version_ids` and `manifest` say which.
        """
        return [self.manifest(name, version) for version in self.version_ids(name)]

    def manifest(self, name: str, version: str) -> ModelManifest:
        """Return a version's manifest; raises ModelRefused where it is damaged or not there."""
        try:
            return load_manifest(self._version_folder(name, version))
        except ModelRefused as error:
            raise ModelRefused(f"model version {version}: {error}") from error

    def aliases(self, name: str) -> dict[str, str]:
        """Return the version of each alias; raises ModelRefused where the file is damaged."""
        return self.current_aliases(name).to_plain()

    def current_aliases(self, name: str) -> Aliases:
        """Take one cheap look at the aliases; raises ModelRefused where the file is damaged."""
        return read_aliases(self._model_folder(name).aliases)

    def resolve(self, name: str, ref: str) -> str:
        """Return the version id of an alias or id; raises ModelRefused for one that is unknown."""
        shelf = self._model_folder(name)
        alias = ref in (CHAMPION, PREVIOUS)
        version = read_aliases(shelf.aliases).to_plain().get(ref) if alias else ref
        # The pattern of an id keeps every other path out.
        if version is None or ordinal_of(name, version) is None:
            raise ModelRefused(self._unknown(name, ref))
        if not alias and version not in shelf.version_ids():
            raise ModelRefused(self._unknown(name, ref))
        return version

    def load(self, name: str, ref: str = CHAMPION) -> ModelVersion:
        """Load a version after verifying digests, bounds and golden rows; nothing is unpickled.

        Raises ModelRefused where it is damaged, of a newer format, or not there.
        """
        return load_version(self._version_folder(name, ref))

    def report(self, name: str, version: str) -> dict[str, Any] | None:
        """Return a version's newest evaluation report; None where there is none."""
        return newest_report(self._version_folder(name, version))

    def verify(self, name: str, version: str) -> list[str]:
        """Say everything that is wrong with a version; nothing where it is sound."""
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
        """Return the lines of a model's audit log, those that can be read."""
        return self._model_folder(name).log.entries()

    def verify_audit(self, name: str) -> list[str]:
        """Say where the audit log is broken or the folder differs from what it tells."""
        shelf = self._model_folder(name)
        if not shelf.folder.is_dir():
            return []
        problems = shelf.log.problems() + log_mismatches(shelf)
        # Another process may be between a line and its deed; who may not lock sees what there is.
        if problems and os.access(shelf.folder, os.W_OK):
            with shelf.locked():
                problems = shelf.log.problems() + log_mismatches(shelf)
        return problems

    # Changing: under the lock, the line in the audit log before what it tells.

    def register(self, name: str, candidate: Candidate, *, who: str, why: str) -> str:
        """Store a candidate as a new version and return its id; without a champion it becomes one.

        Raises ModelRefused where the candidate could not be loaded again.
        """
        contents = contents_of(candidate)
        with locked_change(self._model_folder(name), who, self._now) as change:
            aliases = aliases_or_none(change.shelf)
            manifest = manifest_for(
                candidate,
                contents,
                name=name,
                ordinal=change.next_ordinal(),
                parent=aliases.champion if aliases else None,
                created=self._now(),
            )
            with change.shelf.staging_folder(manifest.id) as folder:
                write_version(folder, contents, manifest)
                digest = load_version(folder).manifest.digest
                change.log_action(Action.REGISTER, manifest.id, why, {"manifest": digest})
                change.shelf.add_version(folder, manifest.id)
            if aliases is not None and aliases.champion is None:
                first = Aliases(champion=manifest.id, previous=aliases.previous)
                change.move(Action.PROMOTE, first, "there was no champion")
        return manifest.id

    def promote(
        self, name: str, version: str, *, who: str, why: str, force: str | None = None
    ) -> None:
        """Make a version the champion, and the champion the previous one.

        `force`: the reason for promoting a version without a passing report. Raises CheckFailed
        without either, ModelRefused where the version cannot be loaded.
        """
        if force is not None and not force.strip():
            raise UsageError("promoting by force needs a reason: give it with --reason")
        folder = self._version_folder(name, version)
        with locked_change(self._model_folder(name), who, self._now) as change:
            load_version(folder)
            obstacle = promotion_obstacle(folder, change.shelf.log.entries())
            if obstacle and force is None:
                raise CheckFailed(
                    f"{folder.name} was not promoted: {obstacle}; evaluate it with `sensorwatch "
                    f"evaluate --data FILE --model {folder.name}`, or promote it with --force "
                    "--reason TEXT"
                )
            before = aliases_or_none(change.shelf) or Aliases()
            already_champion = before.champion == folder.name
            target = Aliases(folder.name, before.previous if already_champion else before.champion)
            detail = {"force": force, "without": obstacle} if obstacle else {}
            change.move(Action.PROMOTE, target, why, detail)

    def rollback(self, name: str, *, who: str, why: str) -> str:
        """Make the previous version the champion again, and return its id.

        Raises ModelRefused where there is none or it cannot be loaded.
        """
        self.resolve(name, PREVIOUS)
        with locked_change(self._model_folder(name), who, self._now) as change:
            version = self.load(name, PREVIOUS).manifest.id
            champion = read_aliases(change.shelf.aliases).champion
            change.move(Action.ROLLBACK, Aliases(version, champion), why)
        return version

    def attach_report(
        self, name: str, version: str, report: dict[str, Any], *, who: str | None = None
    ) -> Path:
        """Store an evaluation report, a JSON object with "passed", beside a version.

        `who`: None stands for whoever runs this process.
        """
        content = report_bytes(report)
        folder = self._version_folder(name, version)
        with locked_change(self._model_folder(name), who or current_user(), self._now) as change:
            self.resolve(name, folder.name)  # once more: it may have been pruned meanwhile
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
        """Delete all but the newest `keep` versions, and return the ids of those deleted.

        Never champion, previous or `in_use`. Removes what interrupted work has left, too.
        """
        if keep < 0:
            raise UsageError(f"keep must be 0 or more, found {keep}")
        if not self._model_folder(name).folder.is_dir():
            raise ModelRefused(self._unknown(name, CHAMPION))
        with locked_change(self._model_folder(name), who, self._now) as change:
            change.shelf.remove_leftovers()
            kept = in_use | set(read_aliases(change.shelf.aliases).to_plain().values())
            version_ids = change.shelf.version_ids()
            old = [
                version
                for version in version_ids[: max(len(version_ids) - keep, 0)]
                if version not in kept
            ]
            for version in old:
                change.delete(version, why)
        return old

    def _model_folder(self, name: str) -> ModelFolder:
        return ModelFolder(self._root, require_model_name(name))

    def _version_folder(self, name: str, ref: str) -> Path:
        return self._model_folder(name).versions / self.resolve(name, ref)

    def _unknown(self, name: str, ref: str) -> str:
        version_ids = self.version_ids(name)
        if not version_ids:
            model_names = ", ".join(self.names()) or "none"
            return (
                f"no model {name} in the registry {self._root} (models there: {model_names}): train one "
                "with `sensorwatch train`, or correct [registry] path and model"
            )
        known = ", ".join(version_ids[-10:])
        if ref in (CHAMPION, PREVIOUS):
            return (
                f"model {name} has no {ref}: make one of {known} the champion with `sensorwatch "
                "models promote VERSION`"
            )
        return f"model {name} has no version {ref}; the newest are {known}"
