"""Frames of a file as a stream, whatever their compression and colour."""

from dicomnode.dicom.decode.stream import frame_shape, frames, number_of_frames, stored_frames

__all__ = ["frame_shape", "frames", "number_of_frames", "stored_frames"]
