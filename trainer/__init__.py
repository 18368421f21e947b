"""Builds, evaluates and registers model versions."""
