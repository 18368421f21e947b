"""Real and imitated Kafka brokers, and the tools that break them on purpose."""
