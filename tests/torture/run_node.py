"""A node with the stand-in analysis, whose clock may be set: ``run_node.py SETTINGS``.

The file that CLOCK_OFFSET names holds the seconds by which this process's clock is wrong.
"""

import os
import time
from pathlib import Path

from dicomnode.jobs.workers import Workers
from torture.wrong_clock import wrong_clock

if __name__ == "__main__":
    Workers(timeout_s=1.0, prepare=list).start()
    time.time = wrong_clock(time.time, Path(os.environ["CLOCK_OFFSET"]))

import stand_in

from parts.run_node import run

if __name__ == "__main__":
    run(process=stand_in.process, models=stand_in.models)
