"""Kafka: records, client settings, errors, topics, and the formats of ledger and snapshots."""
