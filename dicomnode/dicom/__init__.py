"""pydicom and highdicom objects: what comes in is read here, what goes out is built here. No network."""
