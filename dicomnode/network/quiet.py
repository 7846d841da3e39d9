"""How pynetdicom is set up in this process. Its settings are module globals; they live here."""

import logging

from pynetdicom import _config

__all__ = ["set_up_pynetdicom"]


def set_up_pynetdicom() -> None:
    """Stream datasets to and from disk, and keep the library's own log lines out of ours.

    Its event log prints request and response identifiers, which hold patient data. What an
    operator needs to know is logged by this package in its own words.
    """
    _config.STORE_RECV_CHUNKED_DATASET = True
    _config.STORE_SEND_CHUNKED_DATASET = True
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
