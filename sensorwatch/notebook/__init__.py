"""The Python interface for notebooks, which takes and returns DataFrames."""
