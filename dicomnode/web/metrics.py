"""Counts for Prometheus, read from the ledger when they are asked for."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dicomnode.store.ledger import Ledger
from dicomnode.store.spool import Spool

__all__ = ["LedgerCollector"]


class LedgerCollector(Collector):
    """Exams, deliveries and files by state, and the room on the disk."""

    def __init__(
        self, ledger: Ledger, spool: Spool, scrubbed: Callable[[], Mapping[str, int]]
    ) -> None:
        self._ledger = ledger
        self._spool = spool
        self._scrubbed = scrubbed

    def describe(self) -> list[Metric]:
        """Say nothing at registration, so that the ledger is not asked then."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Ask now."""
        exams = GaugeMetricFamily("dicomnode_exams", "Exams in each state", labels=["state"])
        for exam_state, count in self._ledger.exam_counts().items():
            exams.add_metric([exam_state], count)
        yield exams
        deliveries = GaugeMetricFamily(
            "dicomnode_deliveries", "Deliveries in each state", labels=["state"]
        )
        for delivery_state, count in self._ledger.delivery_counts().items():
            deliveries.add_metric([delivery_state], count)
        yield deliveries
        files = GaugeMetricFamily(
            "dicomnode_files", "Kept files as the last scrub found them", labels=["state"]
        )
        for file_state, count in self._scrubbed().items():
            files.add_metric([file_state], count)
        yield files
        yield GaugeMetricFamily(
            "dicomnode_spool_free_bytes",
            "Room left on the spool's file system",
            value=self._spool.free_bytes(),
        )
