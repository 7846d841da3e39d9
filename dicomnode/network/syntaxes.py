"""What may be received: every storage class and every transfer syntax that files use."""

from pydicom import uid
from pynetdicom import AllStoragePresentationContexts, register_uid
from pynetdicom.service_class import StorageServiceClass

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

TRANSFER_SYNTAXES: tuple[str, ...] = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.RLELossless,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
    *uid.MPEGTransferSyntaxes,
)
"""Preferred first. When a sender offers several for one context, the one without loss is
taken, so that nothing is compressed on our account before it is measured."""
