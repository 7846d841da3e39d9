"""Conformance of this node, written from the tables and objects of the code."""
