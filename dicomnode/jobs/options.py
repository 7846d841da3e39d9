"""Options of waiting, retrying and giving up."""

from typing import Literal

from pydantic import BaseModel, Field

__all__ = ["DeliveryOptions", "SettleOptions"]


class SettleOptions(BaseModel, frozen=True, extra="forbid"):
    """When a study counts as complete, and which of conflicting bytes is analysed."""

    quiet_s: float = Field(default=30.0, ge=0.1, le=86_400)
    """Seconds without a new instance, after the last association that sent to it ended."""
    conflicting_instances: Literal["first", "last", "refuse"] = "first"
    """What to analyse when different bytes came under one SOP Instance UID."""


class DeliveryOptions(BaseModel, frozen=True, extra="forbid"):
    """How often a destination that does not answer is tried again."""

    first_retry_s: float = Field(default=10.0, gt=0, le=86_400)
    longest_retry_s: float = Field(default=900.0, gt=0, le=86_400)
    attempts: int = Field(default=100, ge=1)
    """After so many attempts a delivery is parked until a person releases it."""
