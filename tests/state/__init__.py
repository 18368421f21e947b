"""Tests of `sensorwatch state`."""
