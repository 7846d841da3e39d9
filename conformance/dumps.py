"""Golden dumps of SEG and SR: the same text on every machine."""

import hashlib

from pydicom import Dataset

from conformance.content import Line, lines
from conformance.exam import Case

__all__ = ["seg_dump", "sr_dump"]


def seg_dump(case: Case) -> str:
    """Return the SEG as pydicom prints it, with a digest of its pixels."""
    dataset = case.objects["seg"]
    digest = hashlib.sha256(dataset.PixelData).hexdigest()
    return f"{_trimmed(dataset)}\nSHA-256 of Pixel Data: {digest}\n"


def sr_dump(case: Case) -> str:
    """Return the header of the SR as pydicom prints it, then its content tree."""
    dataset = case.objects["sr"]
    header = Dataset()
    header.file_meta = dataset.file_meta
    for element in dataset:
        if element.keyword != "ContentSequence":
            header.add(element)
    tree = "\n".join(_line(line) for line in lines(dataset))
    return f"{_trimmed(header)}\n\nContent tree\n{tree}\n"


def _line(line: Line) -> str:
    parts = [line.relationship, line.value_type, line.name, f"= {line.value}" if line.value else ""]
    return "  " * line.depth + " ".join(part for part in parts if part)


def _trimmed(dataset: Dataset) -> str:
    return "\n".join(line.rstrip() for line in str(dataset).splitlines())
