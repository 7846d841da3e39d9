"""Networks are trained only where torch is installed; it is no part of the node."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["test_segmenter.py"]
