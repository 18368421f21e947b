"""What every process needs at run time: settings, logs, metrics and exit codes."""
