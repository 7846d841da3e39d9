"""Training of the committed models, and of a site's own."""
