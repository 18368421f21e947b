"""Tests that inject failures under load on a real Kafka and check every outcome afterwards."""
