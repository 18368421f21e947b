"""How fast it is: ratios in one run on one machine, never a timed test."""
