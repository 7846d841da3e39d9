"""Complaints of validators about our objects that were looked into and are not ours, with why."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["ACCEPTED", "PRIVATE_SCHEME", "QUANTITY", "Accepted", "accepted", "unexpected"]

PRIVATE_SCHEME = (
    "The private scheme and its UID stand in (0008,0110), where dciodvfy does not look."
)

QUANTITY = "Defined Terms may be added to; what a pixel of a Parametric Map is says its code."


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """One complaint, as a pattern for the whole of its line, and why the object is right."""

    judge: str
    complaint: str
    reason: str


ACCEPTED = (
    Accepted(
        judge="dciodvfy",
        complaint=r"Warning - Unrecognized defined term <99DICOMNODE> for value 1 of attribute "
        r"<Coding Scheme Designator>",
        reason=PRIVATE_SCHEME,
    ),
    Accepted(
        judge="dciodvfy",
        complaint=r"Warning - Unrecognized defined term <2\.25\.\d+> for value 1 of attribute "
        r"<Coding Scheme UID>",
        reason=PRIVATE_SCHEME,
    ),
    Accepted(
        judge="dciodvfy",
        complaint=r"Warning - Missing attribute or value that would be needed to build DICOMDIR - "
        r"(Study Date|Study Time|Study ID|Patient ID)",
        reason="Type 2, and the source does not say it.",
    ),
    Accepted(
        judge="dciodvfy",
        complaint=r"Warning - is only permitted to be empty when actually unknown; should be "
        r"absent \(not empty\) if an unpaired body part, and have a value if a paired body part - "
        r"attribute <Laterality>",
        reason="The side is unknown: the source states none, or more than one.",
    ),
    Accepted(
        judge="dciodvfy",
        complaint=r"Warning - Unrecognized defined term <QUANTITY> for value 4 of attribute "
        r"<(Image|Frame) Type>",
        reason=QUANTITY,
    ),
    Accepted(
        judge="DicomInstanceValidator",
        complaint=r"Error: .*: Illegal character\(s\) '[^\x00-\x7f]+' in value of (PN|LO) VR .*",
        reason="It holds all text to be ISO 646, whatever Specific Character Set says.",
    ),
    Accepted(
        judge="DicomInstanceValidator",
        complaint=r"Error: GeneralSeriesModule/Laterality/: : Missing conditional attribute",
        reason="The side is in each segment's anatomy; dciodvfy calls one at the root an error.",
    ),
    Accepted(
        judge="DicomInstanceValidator",
        complaint=r"Error: DerivationImageMacro/DerivationImageSequence/: "
        r"SharedFunctionalGroupsSequence/Item\[1\]/: "
        r"Missing required sequence attribute \(Type 2\)",
        reason="It is per frame, hence must not be shared (PS3.3 C.7.6.16).",
    ),
)


def unexpected(judge: str, complaints: Iterable[str]) -> list[str]:
    """Return the complaints that nobody accepted."""
    return [line for line in complaints if not _matching(judge, line)]


def accepted(judge: str, complaints: Iterable[str]) -> set[str]:
    """Return the reasons for which complaints were accepted."""
    return {entry.reason for line in complaints for entry in _matching(judge, line)}


def _matching(judge: str, line: str) -> Sequence[Accepted]:
    of_judge = [entry for entry in ACCEPTED if entry.judge == judge]
    return [entry for entry in of_judge if re.fullmatch(entry.complaint, line)]
