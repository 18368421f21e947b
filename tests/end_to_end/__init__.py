"""Tests of all commands together, from training to verified events."""
