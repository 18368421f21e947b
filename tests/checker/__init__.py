"""Checks after a run that every input record had exactly one outcome."""
