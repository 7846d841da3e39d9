"""The operator's page, JSON API, metrics and health."""
