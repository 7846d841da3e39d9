"""AE titles, hosts and ports, as settings may write them."""

from typing import Annotated

from pydantic import Field

__all__ = ["AeTitle", "Host", "Port"]

AeTitle = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
"""PS3.5 6.2: 1 to 16 printable ASCII characters, no backslash, no outer spaces."""
Port = Annotated[int, Field(ge=1, le=65_535)]
Host = Annotated[str, Field(min_length=1)]
