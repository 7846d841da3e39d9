"""The application entity that is this software, called whatever the node is called."""

from pydicom.uid import UID
from pynetdicom import AE

from dicomnode.version import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

__all__ = ["application_entity"]


def application_entity(ae_title: str) -> AE:
    """Return an entity that says what software it is when associations are negotiated."""
    ae = AE(ae_title=ae_title)
    ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return ae
