"""The table of ways of delivery: one row each, chosen by ``transport`` in the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from dicomnode.deliver.options import CStoreOptions, DestinationOptions
from dicomnode.named import Named

__all__ = ["TRANSPORTS", "AnyDestination", "TransportKind"]


@dataclass(frozen=True, kw_only=True)
class TransportKind:
    """A way of delivery.

    Attributes
    ----------
    options : type
        What settings say of such a destination.
    open : Named
        Called with the options and :class:`~dicomnode.deliver.transport.Surroundings`; gives
        a :class:`~dicomnode.deliver.transport.Transport`.
    """

    options: type[DestinationOptions]
    open: Named


TRANSPORTS: Mapping[str, TransportKind] = {
    "c-store": TransportKind(
        options=CStoreOptions, open=Named("dicomnode.deliver.c_store:open_c_store")
    ),
}
_USUAL = "c-store"


class _ByTransport:
    """Has pydantic read a destination as the options of its transport."""

    def __get_pydantic_core_schema__(
        self, _source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.tagged_union_schema(
            {name: handler.generate_schema(kind.options) for name, kind in TRANSPORTS.items()},
            discriminator=_transport_of,
            custom_error_type="unknown_transport",
            custom_error_message="a transport that is not known",
        )


def _transport_of(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get("transport", _USUAL)
    return getattr(value, "transport", _USUAL)


AnyDestination = Annotated[DestinationOptions, _ByTransport()]
"""The options of any way, as settings hold them."""
