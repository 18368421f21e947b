"""The live page: open incidents, odd sensors, models and refused records."""
