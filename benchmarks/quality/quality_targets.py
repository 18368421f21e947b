"""The minimum results that the default detector must reach."""

SKAB = (0.78, 16.0, 27.0)
"""F1 at least, FAR % and MAR % at most, files as they are."""
SKAB_CUT = (0.77, 26.0, 23.0)
NAB_PUBLISHED = 38.0
NAB_OWN = 30.0
SIMULATED_RECALL = 0.95
SIMULATED_DELAY = 5.0
"""Median, rows."""
RATE_FACTOR = 3.0
"""How far the realised alert rate may lie from the configured one."""
