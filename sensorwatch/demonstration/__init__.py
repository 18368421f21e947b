"""What `sensorwatch demo` sets up, shows and counts."""
