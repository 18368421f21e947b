"""What goes over Kafka: events, dead letters, settings of the client, transactions."""
