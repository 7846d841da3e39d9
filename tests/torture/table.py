"""Every trouble there is. To add one is to add its file and its row."""

from collections.abc import Sequence

from torture.scenario import Scale, Trouble
from torture.troubles import (
    clock,
    destinations,
    disk_full,
    exams_in_a_row,
    kills,
    locked_ledger,
    mutated_files,
    ruined_ledger,
    senders,
    strangers,
    workers,
)

__all__ = ["FULL", "SHORT", "TROUBLES"]

TROUBLES: Sequence[Trouble] = (
    kills.TROUBLE,
    disk_full.TROUBLE,
    locked_ledger.TROUBLE,
    destinations.TROUBLE,
    senders.TROUBLE,
    workers.TROUBLE,
    clock.TROUBLE,
    ruined_ledger.TROUBLE,
    mutated_files.TROUBLE,
    exams_in_a_row.TROUBLE,
    strangers.TROUBLE,
)

FULL = Scale(
    kills=288,
    kills_in_a_life=12,
    real_kills=6,
    mutated_files=5_000,
    mutated_analyses=40,
    exams_in_a_row=500,
    connections=300,
    instances=500,
    every_phase=True,
)
SHORT = Scale(
    kills=6,
    kills_in_a_life=6,
    real_kills=0,
    mutated_files=100,
    mutated_analyses=1,
    exams_in_a_row=0,
    connections=0,
    instances=0,
    every_phase=False,
)
