"""What this node conforms to, written from the tables and objects of the code."""
