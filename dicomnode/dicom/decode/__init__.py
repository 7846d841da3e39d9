"""Frames of a file as a stream, whatever their compression and colour."""

from dicomnode.dicom.decode.counting import stored_frames
from dicomnode.dicom.decode.shape import frame_shape, number_of_frames
from dicomnode.dicom.decode.stream import Damaged, frames, frames_or_damage

__all__ = [
    "Damaged",
    "frame_shape",
    "frames",
    "frames_or_damage",
    "number_of_frames",
    "stored_frames",
]
