"""A schema inferred from a file."""
