"""The scoring of readings: memory, forecast residuals, decisions, episodes, explanations."""
