"""Scores a topic of sensor rows, exactly once."""
