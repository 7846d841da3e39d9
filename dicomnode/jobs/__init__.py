"""Work that must be done, and is done once: analyses and deliveries on the durable engine."""
