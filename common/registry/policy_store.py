"""The policies of one model name: one file per policy, and the alias `policy@current`."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.policy.alarm_policy import AlarmPolicy, is_policy_id, policy_from_bytes
from sensorwatch.common.registry.durable_files import replace_file, sync_folder

ALIAS_FORMAT = 1


class _AliasFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Annotated[int, Field(ge=1, le=ALIAS_FORMAT)]
    current: Annotated[str, Field(pattern=r"^policy-[0-9a-f]{16}$")]
    changed: AwareDatetime


@dataclass(frozen=True, slots=True)
class PolicyFolder:
    """The files of a model's policies: `policies/ID.json` and `policies/current.json`."""

    folder: Path

    def ids(self) -> list[str]:
        """Return the ids of the stored policies, in ascending order."""
        return sorted(path.stem for path in self.folder.glob("policy-*.json"))

    def current_id(self) -> str | None:
        """Return the id to which `policy@current` points; None if no policy was ever applied.

        Raises ModelRefused if the alias file cannot be read.
        """
        try:
            return _AliasFile.model_validate_json(self._alias_path.read_bytes()).current
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its content is not valid"
            raise ModelRefused(
                f"the alias file {self._alias_path} cannot be read: {reason}; `sensorwatch rules "
                "apply` writes it again"
            ) from error

    def load(self, policy_id: str) -> AlarmPolicy:
        """Return a stored policy; raises ModelRefused if it is missing or damaged."""
        if not is_policy_id(policy_id):
            raise ModelRefused(
                f'"{policy_id}" is not a policy id, wanted policy- and 16 hex digits'
            )
        try:
            content = self._path(policy_id).read_bytes()
        except OSError as error:
            raise ModelRefused(
                f"the policy {policy_id} cannot be read from {self.folder}: {error.strerror}"
            ) from error
        return policy_from_bytes(content, policy_id)

    def write(self, policy: AlarmPolicy) -> None:
        """Store a policy; the caller must have the lock of the model's folder."""
        self.folder.mkdir(exist_ok=True)
        sync_folder(self.folder.parent)
        replace_file(self._path(policy.id), policy.to_bytes())

    def set_current(self, policy_id: str, changed: datetime) -> None:
        """Move `policy@current` atomically; the caller must have the lock."""
        alias = {"format": ALIAS_FORMAT, "current": policy_id, "changed": changed.isoformat()}
        replace_file(self._alias_path, json.dumps(alias, indent=2).encode() + b"\n")

    def remove(self, policy_id: str) -> None:
        """Remove a policy; the caller must have the lock."""
        self._path(policy_id).unlink(missing_ok=True)
        sync_folder(self.folder)

    @property
    def _alias_path(self) -> Path:
        return self.folder / "current.json"

    def _path(self, policy_id: str) -> Path:
        return self.folder / f"{policy_id}.json"
