"""A node with the stand-in analysis, whose clock may be set: ``run_node.py SETTINGS``.

The file that CLOCK_OFFSET names holds the seconds by which this process's clock is wrong. On
SIGUSR2 the names of all threads are written to the file that THREADS names.
"""

import os
import signal
import threading
import time
from pathlib import Path

from dicomnode.jobs.workers import Workers
from torture.wrong_clock import wrong_clock

if __name__ == "__main__":
    Workers(timeout_s=1.0, prepare=list).start()
    time.time = wrong_clock(time.time, Path(os.environ["CLOCK_OFFSET"]))


import stand_in

from parts.run_node import run


def name_threads(*_: object) -> None:
    """Write all names at once: the file appears when it is whole."""
    target = Path(os.environ["THREADS"])
    written = target.with_suffix(".part")
    written.write_text("\n".join(sorted(one.name for one in threading.enumerate())))
    written.rename(target)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, name_threads)
    run(process=stand_in.process, models=stand_in.models)
