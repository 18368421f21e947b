"""Kernels that read and write rows; the strict parser defines what is valid."""
