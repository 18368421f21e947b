"""Tables and plots of measured figures, for a terminal and for a document."""
