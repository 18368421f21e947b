"""`sensorwatch state`: what is said before a memory is given up, and what is written then."""
