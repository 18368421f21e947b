"""Checks everything that sensorwatch needs, and says what to do."""
