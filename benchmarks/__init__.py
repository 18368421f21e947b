"""Benchmarks of detection quality and of speed, which are run by hand and are not installed."""
