"""Ways of bringing results to a destination: one file for each."""
