"""Wiring: intake, start, drain, housekeeping."""
