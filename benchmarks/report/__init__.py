"""Tables and plots of measurements, for a terminal and for a document."""
