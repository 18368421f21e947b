"""The part `alarms` of the quality benchmark: false alarms a sensor-day, and faults found."""
