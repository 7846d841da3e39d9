"""CEUS exams with known truth."""
