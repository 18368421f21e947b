"""The plots of the user documents, each made by running the default detector on the simulator."""
