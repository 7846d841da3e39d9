"""The only room that knows the durable engine."""
