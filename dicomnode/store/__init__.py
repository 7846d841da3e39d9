"""What survives a power cut: files and rows."""
