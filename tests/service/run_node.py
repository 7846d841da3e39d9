"""A node as its own process, with the stand-in analysis: ``run_node.py SETTINGS``."""

import signal
import sys
from pathlib import Path

import stand_in

from dicomnode.config import load_settings
from dicomnode.log import configure
from dicomnode.service.node import Node


def main() -> None:
    settings = load_settings(Path(sys.argv[1]))
    configure(settings.log)
    node = Node(settings, process=stand_in.process, models=stand_in.models)
    signal.signal(signal.SIGTERM, lambda *_: node.stop())
    with node:
        node.wait()


if __name__ == "__main__":
    main()
