"""Tests of `sensorwatch doctor`."""
