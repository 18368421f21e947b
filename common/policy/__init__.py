"""The policy: rules and calendar that decide which anomalous rows are alarms."""
