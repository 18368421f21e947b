"""The minimum results that the default detector must reach."""

SKAB = (0.80, 13.5, 26.0)
"""On uncut files: minimum F1, maximum false alarm rate (%), maximum missed alarm rate (%)."""
SKAB_CUT = (0.77, 26.0, 23.0)
NAB_PUBLISHED = 48.0
NAB_OWN = 46.0
SIMULATED_RECALL = 0.95
SIMULATED_DELAY = 5.0
"""Maximum median delay from the start of a fault to the first alarm, in rows."""
RATE_FACTOR = 3.0
"""Maximum factor by which the measured alert rate may be above or below the configured rate."""
