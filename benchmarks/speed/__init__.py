"""How fast rows are scored, as ratios measured in one run on one machine."""
