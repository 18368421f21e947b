"""Judges, after a run, whether every input record had exactly one outcome."""
