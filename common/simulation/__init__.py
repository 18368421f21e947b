"""Seeded sensors with labelled faults."""
