"""The policies of one model in the registry: load, apply, learn and prune them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sensorwatch.common.errors import ModelRefused, UsageError
from sensorwatch.common.policy.alarm_policy import EMPTY_POLICY, NOTHING_LEARNED, AlarmPolicy
from sensorwatch.common.policy.learned import MAX_LEARNED, LearnedPart
from sensorwatch.common.registry.audit import Action
from sensorwatch.common.registry.learned_history import Learned, learned_from_audit
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

    def apply(self, policy: AlarmPolicy, *, who: str, why: str) -> tuple[AlarmPolicy, str | None]:
        """Store a policy with the learned part of the current one, and put it in force.

        Return the stored policy and the id of the previous one.
        """
        with locked_change(self._folder, who, self._now) as change:
            policies = change.folder.policies
            try:
                previous_id = policies.current_id()
                learned = policies.load(previous_id).learned if previous_id else NOTHING_LEARNED
            except ModelRefused:  # a file is damaged; the audit log has the learned part, too
                previous_id = None
                learned = learned_from_audit(change.folder.log.entries())
            policy = policy.with_learned(learned)
            detail = {"policy": policy.id, "before": previous_id}
            change.log_action(Action.POLICY, None, why, detail)
            policies.write(policy)
            policies.set_current(policy.id, self._now())
        return policy, previous_id

    def learn(
        self,
        learned: Learned,
        *,
        who: str,
        why: str,
        earliest: int,
        detail: Mapping[str, Any],
        then: Callable[[str], None],
    ) -> AlarmPolicy:
        """Put the policy in force that a verdict builds from the current one; return it.

        The rules and windows of the file do not change. Entries that ended before `earliest`
        (microseconds UTC) are removed. `detail`: the verdict, for the audit log. `then` is called
        with the id of the policy in force, under the lock, so that verdicts are published in the
        order of the audit log.

        Raises ModelRefused if the current policy cannot be loaded, and UsageError if it would have
        more than MAX_LEARNED learned entries.
        """
        with locked_change(self._folder, who, self._now) as change:
            policies = change.folder.policies
            previous_id = policies.current_id()
            before = policies.load(previous_id) if previous_id else EMPTY_POLICY
            policy = before.with_learned(learned.added_to(before.learned.in_force(earliest)))
            _require_few_entries(policy.learned)
            policy_id = previous_id if policy == before else policy.id
            audit_detail = {**detail, **learned.to_plain(), "policy": policy_id}
            change.log_action(Action.VERDICT, None, why, {**audit_detail, "before": previous_id})
            if policy != before:
                policies.write(policy)
                policies.set_current(policy.id, self._now())
            then(policy_id or "")
        return policy

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


def _require_few_entries(learned: LearnedPart) -> None:
    if len(learned) > MAX_LEARNED:
        raise UsageError(
            f"the policy would have {len(learned)} learned suppressions and planned windows, but "
            f"at most {MAX_LEARNED} are allowed: undo some of them with `sensorwatch verdict "
            "EPISODE undo`, or write a rule for them"
        )
