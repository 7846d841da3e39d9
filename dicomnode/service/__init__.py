"""Wiring: the node that receives, has analysed, delivers and keeps house."""
