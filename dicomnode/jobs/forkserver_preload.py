"""The process that workers are forked from: the heavy imports are made here, once.

The fork server imports this module when it starts, which is its only hook. From then on it
ends with the node and only with the node, and each worker ends with it: whatever kills the
node, no analysis lives on beside the one that is started anew.
"""

import signal

import dicomnode.jobs.analyse
import dicomnode.outputs.job  # noqa: F401 - imported so that workers have them
from dicomnode.jobs.workers import die_with_parent

die_with_parent()
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the node decides when work is given up
