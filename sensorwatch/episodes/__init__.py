"""Shows single episodes of the anomaly topic."""
