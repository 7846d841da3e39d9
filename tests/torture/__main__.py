"""``make torture``: everything that can go wrong, done to a real node.

``python -m torture [--short] [--seed N] [TROUBLE...]`` runs some of the troubles only; the page in
conformance/ is written when all of them ran in full.
"""

import argparse
import sys
import time

from torture.page import PAGE, page, summary
from torture.runner import Done, run_all
from torture.table import FULL, SHORT, TROUBLES

SEED = 20_260_101


def main() -> int:
    asked = _arguments()
    names = {trouble.name for trouble in TROUBLES}
    if unknown := set(asked.troubles) - names:
        print(f"expected some of {', '.join(sorted(names))}, got {', '.join(sorted(unknown))}")
        return 2
    troubles = [one for one in TROUBLES if not asked.troubles or one.name in asked.troubles]
    scale = SHORT if asked.short else FULL
    planned = sum(len(trouble.scenarios(scale)) for trouble in troubles)
    begun = time.monotonic()
    done: list[Done] = []
    for one in run_all(troubles, scale, seed=asked.seed, at_once=asked.at_once):
        done.append(one)
        print(_line(one), flush=True)
        if len(troubles) == len(TROUBLES) and not asked.short:
            took_s = time.monotonic() - begun
            text = page(done, planned=planned, seed=asked.seed, took_s=took_s)
            PAGE.write_text(text, encoding="utf-8")
    print(f"\n{summary(done)}\n\n{(time.monotonic() - begun) / 60:.1f} minutes, seed {asked.seed}")
    return 1 if any(one.outcome.faults or one.broken for one in done) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("troubles", nargs="*", metavar="TROUBLE")
    parser.add_argument("--short", action="store_true", help="the form that the tests run")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--at-once", type=int, default=4, help="scenarios at the same time")
    return parser.parse_args()


def _line(one: Done) -> str:
    verdict = "ok"
    if one.skipped:
        verdict = f"not run: {one.skipped}"
    elif one.broken:
        verdict = f"could not go on: {one.broken}"
    elif one.outcome.faults:
        verdict = f"{len(one.outcome.faults)} faults"
    lines = [f"{one.took_s:6.1f} s  {one.trouble}: {one.scenario}: {verdict}"]
    lines += [f"          {fault.figure}: {fault.what}" for fault in one.outcome.faults[:12]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
