"""Tests of the files that contain rows."""
