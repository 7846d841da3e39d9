"""An object goes into the network's queue no faster than the peer takes it."""

import time

from pynetdicom.association import Association
from pynetdicom.pdu_primitives import MaximumLengthNotification, _PDUPrimitiveType

__all__ = ["keep_pace"]

_PIECES_AHEAD = 64
_LARGEST_PIECE_BYTES = 131072
_LOOK_AGAIN_S = 0.001


def keep_pace(assoc: Association) -> None:
    """Read a file that is sent in pieces, few of them ahead of the peer.

    pynetdicom 3.0.4 queues a whole object in memory when the peer is slow, and counts the time
    for the peer's answer from then on. To a peer that takes messages of any length (maximum
    length 0, PS3.8 D.1) it sends all in one piece.
    """
    for item in assoc.acceptor.user_information:
        if isinstance(item, MaximumLengthNotification):
            stated = item.maximum_length_received or _LARGEST_PIECE_BYTES
            item.maximum_length_received = min(stated, _LARGEST_PIECE_BYTES)
    dul, queue = assoc.dul, assoc.dul.to_provider_queue
    put = dul.send_pdu

    def send_pdu(primitive: _PDUPrimitiveType) -> None:
        while queue.qsize() >= _PIECES_AHEAD and dul.is_alive():
            time.sleep(_LOOK_AGAIN_S)
        if dul.is_alive():  # else the association has ended and nobody empties the queue
            put(primitive)

    dul.send_pdu = send_pdu  # type: ignore[method-assign]
