"""Send simulated or replayed sensor rows to Kafka, a file or standard output."""
