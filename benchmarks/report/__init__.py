"""Figures for a terminal and for a document: tables, plots, what they were measured with."""
