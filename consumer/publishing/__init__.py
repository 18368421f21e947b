"""Publishes the results of a micro-batch."""
