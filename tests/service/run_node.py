"""A node with the stand-in analysis: ``run_node.py SETTINGS``.

The process that workers are forked from is started first, so that its imports and this process's
are made at the same time: tests start many nodes.
"""

from dicomnode.jobs.workers import Workers

if __name__ == "__main__":
    Workers(timeout_s=1.0, prepare=list).start()

import stand_in

from parts.run_node import run

if __name__ == "__main__":
    run(process=stand_in.process, models=stand_in.models)
