"""Tests of the deployment files without containers."""
