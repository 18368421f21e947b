"""Scores rows over HTTP."""
