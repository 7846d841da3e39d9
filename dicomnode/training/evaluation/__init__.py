"""How well bundles do on a cohort, and against one another."""
