"""The arrays of a model version, and the checks made when they are loaded."""
