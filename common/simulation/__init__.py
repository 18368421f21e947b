"""The simulation of sensors with labelled faults, reproducible from a seed."""
