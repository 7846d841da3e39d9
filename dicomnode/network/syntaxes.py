"""SOP classes and transfer syntaxes that may be received: all storage, all that can be decoded."""

from pynetdicom import AllStoragePresentationContexts, register_uid
from pynetdicom.service_class import StorageServiceClass

from dicomnode.syntaxes import SYNTAXES

__all__ = ["STORAGE_CLASSES", "TRANSFER_SYNTAXES"]

_RETIRED = {
    "1.2.840.10008.5.1.4.1.1.3": "UltrasoundMultiFrameImageStorageRetired",
    "1.2.840.10008.5.1.4.1.1.6": "UltrasoundImageStorageRetired",
}
"""Still sent by older scanners."""

for _uid, _keyword in _RETIRED.items():
    register_uid(_uid, _keyword, StorageServiceClass)

STORAGE_CLASSES: tuple[str, ...] = (
    *(str(context.abstract_syntax) for context in AllStoragePresentationContexts),
    *_RETIRED,
)

TRANSFER_SYNTAXES: tuple[str, ...] = tuple(syntax.uid for syntax in SYNTAXES)
"""Preferred first."""
