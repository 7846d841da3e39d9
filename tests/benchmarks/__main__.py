"""``make bench``: each figure as a ratio against a peer or a limit measured in the same run.

``python -m tests.benchmarks speed recovery`` runs some of the tables only.
"""

import sys
from collections.abc import Callable, Iterable, Mapping

from threadpoolctl import threadpool_limits

from tests.benchmarks.doors import doors
from tests.benchmarks.motion import residual_motion
from tests.benchmarks.outputs import all_outputs
from tests.benchmarks.recovery import recovery
from tests.benchmarks.row import Row
from tests.benchmarks.speed import fit_speed, memory
from tests.benchmarks.subregions import sub_regions
from tests.benchmarks.whole import whole_exam

TABLES: Mapping[str, tuple[str, Callable[[], Iterable[Row]]]] = {
    "speed": ("The fit, grey in, parameters and covariance out", fit_speed),
    "memory": ("Memory", memory),
    "recovery": ("What the fit finds again: single-look speckle, simulated", recovery),
    "motion": ("Registration of simulated exams with 3 mm breathing", residual_motion),
    "subregions": ("Sub-regions of phantom patients, true outline", sub_regions),
    "whole": ("From file to results", whole_exam),
    "outputs": ("Building the outputs", all_outputs),
    "doors": ("Commands that only look, and a node with nothing to do", doors),
}


def main(names: list[str]) -> int:
    unknown = set(names) - set(TABLES)
    if unknown:
        print(f"expected some of {', '.join(TABLES)}, got {', '.join(sorted(unknown))}")
        return 2
    print("Medians; ratios against a peer, a bound or a limit of the same run; simulated data.")
    with threadpool_limits(1):
        for name in names or TABLES:
            title, table = TABLES[name]
            print(f"\n{title}")
            for row in table():
                print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
