"""Files and rows that survive a power cut."""
