"""What measures the project from outside: run by hand, never shipped."""
