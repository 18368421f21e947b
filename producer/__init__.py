"""Publishes sensor rows: simulated or replayed."""
