"""Real and mock Kafka brokers, and tools that inject failures."""
