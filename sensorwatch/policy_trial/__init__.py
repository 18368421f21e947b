"""The trial of a policy: recent input is scored under the current and the new policy."""
