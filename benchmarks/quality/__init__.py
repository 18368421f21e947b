"""Benchmarks of detection quality on public data sets and simulated streams."""
