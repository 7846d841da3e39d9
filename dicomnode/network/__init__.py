"""The only room that associates."""
