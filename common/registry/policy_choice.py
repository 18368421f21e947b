"""The policy that a command uses: the one in force, that of a file, or none."""

from datetime import UTC, date, datetime
from pathlib import Path

from sensorwatch.common.errors import UsageError
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.policy.declarations import parse_policy
from sensorwatch.common.registry.policy_registry import PolicyRegistry

CURRENT_POLICY, NO_POLICY = "current", "none"
"""The texts of the option `--policy` that are not the path of a file."""


def chosen_policy(
    choice: str, policies: PolicyRegistry, *, first_day: date | None = None
) -> AlarmPolicy | None:
    """Return the policy that the option `--policy current|FILE|none` names.

    `first_day`: see `read_policy_file`. Raises UsageError if the file is wrong, and ModelRefused if
    the current policy cannot be loaded.
    """
    if choice == NO_POLICY:
        return None
    if choice == CURRENT_POLICY:
        return policies.current()
    return read_policy_file(Path(choice), first_day=first_day)


def read_policy_file(file: Path, *, first_day: date | None = None) -> AlarmPolicy:
    """Return the policy of a file, built now.

    `first_day`: first day for which recurring windows are expanded, see `PolicyDeclaration.build`.
    Raises UsageError if the file cannot be read or is wrong.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}; correct the path") from error
    return parse_policy(text, str(file)).build(datetime.now(UTC), first_day=first_day)
