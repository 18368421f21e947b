"""The Python interface for notebooks: its functions take and return DataFrames."""
