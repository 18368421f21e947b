"""The face of the project: the `sensorwatch` command."""
