"""What every other package may use: threads, whole-file writes, HTML, lazy names."""
