"""What readers of the anomaly topic need: events, episodes and incidents."""
