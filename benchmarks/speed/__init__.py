"""Benchmarks of speed; results are ratios between programs that run in turn on one machine."""
