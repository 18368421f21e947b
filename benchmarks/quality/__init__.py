"""How well faults are found, on public data and simulated streams."""
