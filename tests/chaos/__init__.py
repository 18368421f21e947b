"""Faults on purpose, under load, on a real Kafka; the checker judges."""
