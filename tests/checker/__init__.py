"""A checker of a finished run: every input record must have exactly one correct outcome."""
