"""pydicom and highdicom objects: what comes in is read, what goes out is built. No network."""
