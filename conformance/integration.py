"""The IHE integration statement: what is implemented, what is not, and why."""

from pydicom.uid import UID

from conformance.exam import Case
from conformance.markdown import table
from dicomnode.version import __version__

__all__ = ["integration"]

AIR: tuple[tuple[str, str, str], ...] = (
    (
        "Results are stored in the study they are about, in new series",
        "yes",
        "patient, study and order attributes are copied",
    ),
    ("SR after TID 1500 is the root of the result", "yes", "it refers to SEG and source clips"),
    ("The root refers to every result object", "{complete}", "{unreferenced}"),
    (
        "Algorithm name, version and device",
        "yes",
        "TID 4019 in each group that a model gave, TID 1004 for the device",
    ),
    (
        "Tracking identifier and UID per finding",
        "yes",
        "the same in SEG and SR, the same when the exam is analysed again",
    ),
    ("Qualitative findings", "yes", "coded answer, one of CID 6063"),
    ("Measurements", "yes", "TID 1419; many names are private, no public terminology has them"),
    ("Regions", "yes", "SCOORD on the source frame, and SEG frames"),
    ("Segmentation", "yes", "BINARY, on one frame of the clip"),
    (
        "Locations, parametric maps, tracking over time",
        "no",
        "viewers fail on parametric maps of ultrasound; one study is looked at at a time",
    ),
    (
        "Result for an exam that could not be analysed",
        "yes",
        "an SR with the reasons, for destinations that ask for it",
    ),
)
TRANSACTIONS: tuple[tuple[str, str, str], ...] = (
    ("Creator Images Stored [RAD-18]", "yes", "C-STORE of every object"),
    (
        "Storage Commitment [RAD-10]",
        "yes, off by default",
        "tried against pynetdicom only; the answer is taken on a new association only",
    ),
)
OTHERS: tuple[tuple[str, str, str], ...] = (
    (
        "AI Workflow for Imaging (AIW-I), Task Performer",
        "no",
        "work comes by C-STORE; UPS-RS is not built",
    ),
    ("Scheduled Workflow (SWF.b)", "no", "no worklist, no MPPS: the node is no modality"),
    (
        "Evidence Documents (ED), Evidence Creator",
        "no claim",
        "the objects are of its kind; the profile was not gone through",
    ),
    (
        "Audit Trail and Node Authentication (ATNA), Secure Node",
        "no",
        "TLS with certificates on both sides is built; audit messages are not",
    ),
    ("Consistent Time (CT), Time Client", "no", "the operating system's clock is used as it is"),
    (
        "Consistent Presentation of Images (CPI)",
        "no",
        "no presentation state is written: the overlay loop shows on every display",
    ),
    (
        "Imaging Object Change Management (IOCM)",
        "no",
        "no rejection note is written: what a later result replaces stays at a destination",
    ),
)


def integration(case: Case) -> str:
    """Return the whole document."""
    head = ("What", "Implemented", "How, or why not")
    left_out = _unreferenced(case)
    words = {
        "complete": "in part" if left_out else "yes",
        "unreferenced": f"it does not refer to {left_out}" if left_out else "SEG and pictures too",
    }
    air = [tuple(cell.format(**words) for cell in row) for row in AIR]
    return f"""# IHE integration statement: dicomnode {__version__}

No part of this was tested at an IHE connectathon, and no profile is claimed in full. The tables say
what an Evidence Creator of AI Results needs, as public descriptions of the profile have it, and
what this project could show of it on its own objects. **Research use only. Not a medical device.**

| Profile | Actor | Options | Claim |
|---|---|---|---|
| AI Results (AIR), trial implementation | Evidence Creator | none | as far as shown below |

## AI Results: content

{table(head, air)}

## AI Results: transactions

{table(head, TRANSACTIONS)}

The profile's actors that store, display or register results are not implemented: a destination
must be one.

## Other profiles

{table(head, OTHERS)}

Details are in [statement.md](statement.md), examples in [seg.txt](seg.txt) and [sr.txt](sr.txt),
what validators say of them in [validators.md](validators.md).
"""


def _unreferenced(case: Case) -> str:
    """Name the outputs of an analysed exam that its report does not refer to."""
    named = {
        str(element.value)
        for element in case.objects["sr"].iterall()
        if element.keyword == "ReferencedSOPInstanceUID"
    }
    left_out = [
        f"{kind} ({UID(each.SOPClassUID).name})"
        for kind, each in case.objects.items()
        if kind not in ("sr", "refusal") and str(each.SOPInstanceUID) not in named
    ]
    return ", ".join(left_out)
