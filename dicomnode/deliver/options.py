"""Options of a destination: those of every way of delivery, and those of C-STORE."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from dicomnode.kinds import BY_DEFAULT, SETTABLE
from dicomnode.network.names import AeTitle, Host, Port

__all__ = ["CStoreOptions", "DestinationOptions"]


def _known_kind(name: str) -> str:
    if name not in SETTABLE:
        raise ValueError(f"expected one of {', '.join(SETTABLE)}, got {name!r}")
    return name


class DestinationOptions(BaseModel, frozen=True, extra="forbid"):
    """Where results go, and which."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    transport: str
    """Name of the way, one of :data:`dicomnode.deliver.table.TRANSPORTS`."""
    outputs: tuple[Annotated[str, AfterValidator(_known_kind)], ...] = BY_DEFAULT
    refusals: bool = False
    """Whether the report that says why an exam was refused is sent as well."""

    @property
    def speaks_tls(self) -> bool:
        """Whether the certificates of ``[tls]`` are needed."""
        return False


class CStoreOptions(DestinationOptions, frozen=True, extra="forbid"):
    """A storage SCP."""

    transport: Literal["c-store"] = "c-store"
    ae_title: AeTitle
    host: Host
    port: Port
    storage_commitment: bool = False
    transfer_syntax: Literal["original", "uncompressed"] = "original"
    """Whether the overlay loop travels as it is kept, in JPEG, or as plain RGB."""
    tls: bool = False

    @property
    def speaks_tls(self) -> bool:
        """Whether the certificates of ``[tls]`` are needed."""
        return self.tls
