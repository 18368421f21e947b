"""Follows the alias `policy@current` and loads each new policy, at most once a minute."""

import time
from collections.abc import Callable

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.policy_registry import PolicyRegistry

MIN_SECONDS_BETWEEN_POLICIES = 60.0
"""Each change of the policy costs a ledger record and a snapshot of every partition."""


def _do_nothing(_: object) -> None:
    pass


class PolicyFollower:
    """Follows the policy in force; if a new one is refused, the loaded one stays in force.

    The constructor raises ModelRefused if the current policy cannot be loaded. `on_adopted` is
    called with every policy, including the first; None means that there is none. `on_refused` is
    called once for each error.
    """

    def __init__(
        self,
        registry: PolicyRegistry,
        *,
        on_adopted: Callable[[AlarmPolicy | None], None] = _do_nothing,
        on_refused: Callable[[ModelRefused], None] = _do_nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._on_adopted = on_adopted
        self._on_refused = on_refused
        self._clock = clock
        self._last_error = ""
        self._adopted_at: float | None = None
        """Time of the last adoption after the start."""
        self._policy = registry.current()
        on_adopted(self._policy)

    def current(self) -> AlarmPolicy | None:
        """Return the policy in force; None if there is none."""
        return self._policy

    def refresh(self) -> bool:
        """Adopt the current policy; return True if the policy changed.

        After a change, the next change is adopted only after MIN_SECONDS_BETWEEN_POLICIES.
        """
        now = self._clock()
        if self._adopted_at is not None and now - self._adopted_at < MIN_SECONDS_BETWEEN_POLICIES:
            return False
        try:
            policy_id = self._registry.current_id()
            if policy_id == (None if self._policy is None else self._policy.id):
                self._last_error = ""
                return False
            policy = self._registry.current()
        except ModelRefused as refused:
            if self._last_error != str(refused):
                self._last_error = str(refused)
                self._on_refused(refused)
            return False
        self._policy, self._adopted_at, self._last_error = policy, now, ""
        self._on_adopted(policy)
        return True
