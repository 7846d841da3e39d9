"""How the committed models were made, and how a site makes its own."""
