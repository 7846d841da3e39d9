"""The settings that decide how the node behaves on the network."""

from pydantic import BaseModel

from conformance.markdown import code, table
from dicomnode.config import (
    NodeOptions,
    OutputOptions,
    RetentionOptions,
    TlsOptions,
)
from dicomnode.deliver.options import CStoreOptions
from dicomnode.jobs.options import DeliveryOptions, SettleOptions

__all__ = ["settings_table"]

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[node]", NodeOptions),
    ("[[destination]]", CStoreOptions),
    ("[outputs]", OutputOptions),
    ("[settle]", SettleOptions),
    ("[delivery]", DeliveryOptions),
    ("[tls]", TlsOptions),
    ("[retention]", RetentionOptions),
)


def settings_table() -> str:
    """Return every key of the sections about the network with its default."""
    rows = [
        (code(section), code(name), _default(field.default, required=field.is_required()))
        for section, options in SECTIONS
        for name, field in options.model_fields.items()
    ]
    return table(("Section", "Key", "Default"), rows)


def _default(value: object, *, required: bool) -> str:
    if required:
        return "must be set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
