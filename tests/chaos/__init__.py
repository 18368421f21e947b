"""Injected failures under load on a real Kafka; the checker verifies the results."""
