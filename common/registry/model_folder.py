"""The folder of one model name: its files and its lock."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from sensorwatch.common.errors import ModelRefused, UsageError
from sensorwatch.common.registry.audit import AuditLog
from sensorwatch.common.registry.durable_files import sync_folder
from sensorwatch.common.registry.model_names import ordinal_of
from sensorwatch.common.registry.policy_store import PolicyFolder

LOCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The paths of one model.

    They are `versions/ID/`, `policies/`, `staging/`, `aliases.json`, `audit.jsonl` and `lock`.
    """

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """The folder of this model name."""
        return self.root / self.name

    @property
    def versions(self) -> Path:
        """The folder of the finished versions."""
        return self.folder / "versions"

    @property
    def staging(self) -> Path:
        """The folder of versions whose write or deletion is unfinished or was interrupted."""
        return self.folder / "staging"

    @property
    def aliases(self) -> Path:
        """The alias file."""
        return self.folder / "aliases.json"

    @property
    def log(self) -> AuditLog:
        """The audit log."""
        return AuditLog(self.folder / "audit.jsonl")

    @property
    def policies(self) -> PolicyFolder:
        """The policies of this model."""
        return PolicyFolder(self.folder / "policies")

    def version_ids(self) -> list[str]:
        """Return the ids of the versions, oldest first.

        Raises ModelRefused if the folder cannot be read.
        """
        try:
            folders = [entry.name for entry in os.scandir(self.versions) if entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ModelRefused(f"{self.versions} cannot be read: {error.strerror}") from error
        numbered_ids = [(ordinal_of(self.name, version), version) for version in folders]
        return [version for ordinal, version in sorted(numbered_ids) if ordinal is not None]

    @contextmanager
    def locked(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Lock this model's folder for changes by this process; a lock ends with its process.

        Raises UsageError if the lock is not free in time, or if the folder cannot be changed.
        """
        try:
            for folder in (self.versions, self.staging):
                folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock", timeout=seconds)
            lock.acquire()
        except Timeout as error:
            raise UsageError(
                f"another process has locked {self.folder} for {seconds:g} s: wait until it has "
                "finished, or stop it"
            ) from error
        except OSError as error:
            raise self._write_error(error) from error
        try:
            yield
        except OSError as error:
            raise self._write_error(error) from error
        finally:
            lock.release()

    @contextmanager
    def staging_folder(self, version: str) -> Iterator[Path]:
        """Yield an empty folder to write a version in; the caller must have the lock."""
        parent = self._new_staging_folder("building")
        folder = parent / version
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(parent)

    def add_version(self, staging_folder: Path, version: str) -> None:
        """Move a completely written version to the other versions, atomically for readers."""
        staging_folder.rename(self.versions / version)
        sync_folder(self.versions)

    def remove(self, version: str) -> None:
        """Remove a version, atomically for readers."""
        deletion_folder = self._new_staging_folder("deleting")
        (self.versions / version).rename(deletion_folder / version)
        sync_folder(self.versions)
        shutil.rmtree(deletion_folder)

    def remove_leftovers(self) -> None:
        """Remove the leftover files of interrupted changes; the caller must have the lock."""
        for entry in self.staging.iterdir():
            shutil.rmtree(entry)
        for entry in self.folder.glob(".*-*"):  # temporary files of `replace_file`
            entry.unlink(missing_ok=True)

    def _new_staging_folder(self, purpose: str) -> Path:
        folder = self.staging / f"{purpose}-{secrets.token_hex(4)}"
        folder.mkdir()
        return folder

    def _write_error(self, error: OSError) -> UsageError:
        return UsageError(
            f"the registry {self.folder} cannot be changed: {error.strerror or error}; correct "
            "[registry] path, the rights on that folder or the space on its disk"
        )
