"""From bytes or cells to columns of readings, bad rows as values."""
