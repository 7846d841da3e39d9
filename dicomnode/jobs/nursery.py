"""The process that workers are forked from, with the heavy imports already made.

The fork server imports this module once. It asks the kernel to end it with the node, and its
workers ask the same with respect to it: whatever kills the node, no analysis lives on.
"""

import multiprocessing

import dicomnode.outputs
from dicomnode.jobs.parent import die_with_parent

__all__ = ["dicomnode"]

if multiprocessing.current_process().name == "MainProcess":
    pass
