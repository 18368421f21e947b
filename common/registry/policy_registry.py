"""The policies of one model in the registry: load, apply and prune them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.audit import Action
from sensorwatch.common.registry.locked_change import locked_change
from sensorwatch.common.registry.model_folder import ModelFolder
from sensorwatch.common.registry.model_names import require_model_name


def _utc_now() -> datetime:
    return datetime.now(UTC)


class PolicyRegistry:
    """The policies of the model `name` in the registry folder `root`.

    Changes take the lock of the model's folder. Each audit entry is written before the change that
    it records.
    """

    def __init__(self, root: Path, name: str, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._folder = ModelFolder(root, require_model_name(name))
        self._now = now

    def current_id(self) -> str | None:
        """Return the id of `policy@current`; None if no policy was ever applied.

        Raises ModelRefused if the alias cannot be read.
        """
        return self._folder.policies.current_id()

    def load(self, policy_id: str) -> AlarmPolicy | None:
        """Return a stored policy; None for the empty id of an account without a policy.

        Raises ModelRefused if the policy is missing or damaged.
        """
        return self._folder.policies.load(policy_id) if policy_id else None

    def current(self) -> AlarmPolicy | None:
        """Return the policy in force; None if there is none.

        Raises ModelRefused if it cannot be loaded.
        """
        return self.load(self.current_id() or "")

    def apply(self, policy: AlarmPolicy, *, who: str, why: str) -> str | None:
        """Store a policy and move `policy@current` to it; return the id of the previous policy."""
        with locked_change(self._folder, who, self._now) as change:
            policies = change.folder.policies
            try:
                previous_id = policies.current_id()
            except ModelRefused:  # the alias file is damaged; it is written again below
                previous_id = None
            detail = {"policy": policy.id, "before": previous_id}
            change.log_action(Action.POLICY, None, why, detail)
            policies.write(policy)
            policies.set_current(policy.id, self._now())
        return previous_id

    def prune(self, *, who: str, why: str, in_use: frozenset[str]) -> list[str]:
        """Delete all policies except the current one and those in `in_use`; return their ids."""
        with locked_change(self._folder, who, self._now) as change:
            policies = change.folder.policies
            kept_ids = in_use | {policies.current_id()}
            deleted_ids = [policy_id for policy_id in policies.ids() if policy_id not in kept_ids]
            for policy_id in deleted_ids:
                change.log_action(Action.DELETE_POLICY, None, why, {"policy": policy_id})
                policies.remove(policy_id)
        return deleted_ids
