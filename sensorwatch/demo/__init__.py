"""`sensorwatch demo`: all services on one machine, with simulated sensors and faults."""
