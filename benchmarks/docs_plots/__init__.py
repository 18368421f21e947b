"""Plots for the user documents; each plot shows the default detector on simulated rows."""
