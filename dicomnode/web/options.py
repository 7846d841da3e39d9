"""Options of the operator page."""

from typing import Annotated

from pydantic import BaseModel, Field

__all__ = ["WebOptions"]


class WebOptions(BaseModel, frozen=True, extra="forbid"):
    """The page has no login: it shows no patient data, and belongs on a closed network."""

    enabled: bool = True
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8080, ge=1, le=65_535)
    names: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Host names by which it may be asked for, beside this machine's own and all addresses."""
