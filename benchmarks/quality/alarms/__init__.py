"""The part `alarms` of the quality benchmark: false alarms per sensor-day, and faults found."""
