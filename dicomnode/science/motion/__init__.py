"""Registration of a loop: where the tissue of every frame lies, and which frames are in plane."""

from dicomnode.science.motion.register import register

__all__ = ["register"]
