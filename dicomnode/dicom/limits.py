"""Longest values, in bytes (PS3.5, 7.1)."""

__all__ = ["LONGEST_SHORT_VALUE", "LONGEST_VALUE"]

LONGEST_SHORT_VALUE = 65534
"""Where explicit VR has a 16-bit length, such as of DS and FL (PS3.5, 7.1.2)."""
LONGEST_VALUE = 0xFFFFFFFE
"""Where the length has 32 bits; all ones mean "undefined" (PS3.5, 7.1.1)."""
