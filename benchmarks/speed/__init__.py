"""Benchmarks of speed; results are ratios of programs that run in turn on one machine."""
