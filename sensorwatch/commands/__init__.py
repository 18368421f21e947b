"""The subcommands of `sensorwatch`."""
