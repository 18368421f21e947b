"""How many harmless alarms a few verdicts remove, and which other faults they lose."""
