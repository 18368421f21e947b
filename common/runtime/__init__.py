"""What touches the process: settings, logs, metrics, health."""
