"""The DICOM conformance statement, in the order of PS3.2 Annex N."""

from collections.abc import Mapping

from pydicom import Dataset
from pydicom.charset import python_encoding
from pydicom.uid import UID

from conformance import example, network
from conformance.attributes import (
    Attribute,
    attribute_table,
    attributes,
    keyword_table,
    own,
    shared,
)
from conformance.coded import private_table, public_table, unit_table, uses
from conformance.exam import Case, Cases
from conformance.markdown import code, table
from conformance.report_table import report_tables
from conformance.settings import settings_table
from dicomnode.dicom import modules
from dicomnode.dicom.codes import PRIVATE_SCHEME, PRIVATE_SCHEME_UID
from dicomnode.dicom.context import Equipment, stamp, study_context
from dicomnode.kinds import KINDS
from dicomnode.network import receive, tls
from dicomnode.version import __version__

__all__ = ["statement"]

COPIED: Mapping[str, str] = {
    "Patient, PS3.3 C.7.1.1": modules.PATIENT,
    "General Study, PS3.3 C.7.2.1": modules.STUDY,
    "Patient Study, PS3.3 C.7.2.2": modules.PATIENT_STUDY,
    "Clinical Trial Subject and Study, PS3.3 C.7.1.3 and C.7.2.3": modules.CLINICAL_TRIAL,
    "SOP Common, PS3.3 C.12.1: how the text and times above are read": modules.HOW_TO_READ,
    "Scanner, into Contributing Equipment Sequence (0018,A001)": modules.SCANNER,
}
TITLES: Mapping[str, str] = {
    "seg": "Segmentation of the sub-regions",
    "lesion": "Segmentation of the lesion",
    "sr": "Structured report of an analysed exam",
    "refusal": "Structured report of a refused exam",
    "overlay": "Overlay loop",
    "keyframe": "Key frame",
    "report": "Report page",
    "pdf": "Report page as PDF",
    "parametric": "Kinetic parameters as Parametric Map",
    "presentation": "Outlines as presentation state of a clip in colour",
    "presentation-grey": "Outlines as presentation state of a clip in grey",
}


def statement(made: Cases) -> str:
    """Return the whole document."""
    parts = (
        _overview(made.base),
        _model(),
        _associations(made.base),
        _storage_scp(),
        _storage_scu(made.base),
        _commitment(),
        f"## Configuration\n\n{_settings()}",
        _objects(made),
        _terminology(made),
        _identifiers(),
        _character_sets(),
        _security(),
        _limits(),
        f"## Annex A: storage SOP classes that are accepted\n\n{network.storage_table()}",
    )
    return "\n\n".join(parts) + "\n"


def _overview(case: Case) -> str:
    return f"""# DICOM conformance statement: dicomnode {__version__}

This file is written by `make conformance` from the tables and objects of the code, and a test holds
it against them. It follows the order of PS3.2 Annex N; the template's standard wording is left out.

**Research use only. Not a medical device.** Every object that is written says so.

## Overview

dicomnode receives studies of contrast-enhanced ultrasound (CEUS) of the breast, analyses them and
sends its results to the destinations that its settings name. It is one application entity.

{network.role_table(case)}

| Other services | |
|---|---|
| Query/Retrieve, Modality Worklist, MPPS, Instance Availability Notification | none |
| Unified Procedure Step, Print, Relevant Patient Information Query | none |
| Media storage, as creator, reader or updater | none |
| DICOMweb (WADO-RS, QIDO-RS, STOW-RS, UPS-RS) and other web services | none |
| Real-time video | none |"""


def _model() -> str:
    return """## Implementation model

1. A scanner or PACS opens an association and stores a study. Each instance is acknowledged when its
   file and its record are on disk.
2. When no association that sent to the study is open and nothing came for the quiet time, the study
   counts as complete. Each injection in it becomes one exam. Instances that come later open a new
   revision of the exam.
3. The exam is analysed, or refused with reasons.
4. The results are sent to each destination by C-STORE, and, where the settings say so, storage
   commitment is asked for. What failed is tried again or parked, see "Statuses received".

Nothing is forwarded: received instances stay on this node. Results of this software that come back
are kept and not analysed."""


def _associations(case: Case) -> str:
    listening, asking = network.acceptor(), network.requestor()
    return f"""## Associations

| Policy | Acceptor | Requestor |
|---|---|---|
| Application context | 1.2.840.10008.3.1.1.1 | 1.2.840.10008.3.1.1.1 |
| Largest PDU received, bytes | {listening.maximum_pdu_size} | {asking.maximum_pdu_size} |
| Associations at a time | see Configuration | one per destination and attempt |
| Open TCP connections, in all and per host | {_connections()} | - |
| Asynchronous operations | not negotiated: one at a time | not negotiated: one at a time |
| SOP class extended and common extended negotiation | ignored | not proposed |
| User identity | not asked for, not checked | not proposed |
| Role selection | Storage Commitment only | not proposed |

{network.timeout_table()}

{network.implementation_table(case)}

### Who may open an association

Only AE titles in `[[accept]]`, each from the hosts named there, and only when they call this node
by its AE title. Rules are tried from the top; the first that is broken rejects (PS3.8 Table 9-21):

{network.rejection_table()}

A connection beyond the limits on TCP connections is closed without an answer."""


def _connections() -> str:
    return f"{receive._CONNECTIONS_TOTAL}, {receive._CONNECTIONS_PER_HOST}"


def _storage_scp() -> str:
    return f"""## Storage as SCP, and Verification

### Presentation contexts accepted

All storage SOP classes of annex A are accepted, each with all transfer syntaxes of this table.
Where a context proposes several, the first of this order is taken.

{network.syntax_table()}

{_other_contexts()}

### What is stored

Level 2 (full): data sets are kept byte for byte as they were sent. An instance whose bytes are
those of an earlier one is acknowledged and kept once. Different bytes under one SOP Instance UID
are all kept; which are analysed is a setting.

### Statuses answered to C-STORE

{network.answer_table()}

Error Comment (0000,0902) says why in a word or two. C-ECHO is answered with 0x0000."""


def _other_contexts() -> str:
    """Return the contexts that are not storage, as they are negotiated."""
    rows = []
    for context in network.acceptor().supported_contexts:
        if context.abstract_syntax in network.STORAGE_CLASSES:
            continue
        uid = UID(context.abstract_syntax or "")
        syntaxes = ", ".join(syntax.name for syntax in context.transfer_syntax or [])
        roles = [
            word
            for word, offered in (("SCU", context.scu_role), ("SCP", context.scp_role))
            if offered
        ]
        rows.append((uid.name, code(uid), syntaxes, " and ".join(roles) or "default"))
    head = ("Other SOP class", "UID", "Transfer syntaxes", "Requestor's roles accepted")
    return table(head, rows)


def _storage_scu(case: Case) -> str:
    return f"""## Storage as SCU

### Presentation contexts proposed

An object is proposed in the transfer syntax of its file, and in Implicit VR Little Endian where it
is not compressed; each in a context of its own. A destination that does not accept a compressed
object gets the others, and the delivery is parked. With `transfer_syntax = "uncompressed"` it is
proposed in Explicit and Implicit VR Little Endian: the same instance, still marked as lossy.

{network.offered_table(case)}

### Statuses received

Looked up from the top; the first range that holds a status counts.

{network.status_table()}

No connection, no answer, an abort or a transient rejection: tried again later. A permanent
rejection, or no acceptable presentation context: parked. The wait doubles from the first to the
longest, see Configuration; when the attempts are used up the delivery is parked until a person
releases it. Every attempt sends the same instances under the same UIDs."""


def _commitment() -> str:
    return f"""## Storage commitment as SCU

Off unless a destination has `storage_commitment = true`. After the objects of an attempt are
stored, one N-ACTION (Action Type 1, Push Model) names those that were, under a new Transaction UID,
and the association is released. The answer, an N-EVENT-REPORT, is expected on an association that
the destination opens to this node, with its AE title in `[[accept]]` and, as PS3.4 J.3.3 says, the
role of SCP. An answer on the association of the request is not waited for.

| What comes | What happens |
|---|---|
| an instance in Referenced SOP Sequence | the delivery is committed |
| an instance in Failed SOP Sequence | the delivery is parked with the reason |
| N-ACTION fails or is not answered | logged; the delivery stays sent |
| no N-EVENT-REPORT | the delivery stays sent; there is no time limit |
| N-EVENT-REPORT of an unknown transaction | ignored, answered with 0x0000 |
| N-EVENT-REPORT that cannot be recorded | answered with 0x0110 |

{network.commitment_table()}

This node is no SCP of storage commitment: N-ACTION sent to it is answered with 0x0110."""


def _settings() -> str:
    return f"""\
Settings are a file; each key is explained in `deploy/node.toml`. Those that decide how the node
behaves on the network, with their defaults:

{settings_table()}"""


def _objects(made: Cases) -> str:
    kinds = {kind: attributes(kind, made) for kind in made.base.objects}
    common = shared(kinds)
    texts = [
        f"""## Objects that are written

Where an attribute comes from was seen, not claimed: the objects of a made-up exam were built three
times, with another source and with another result, and what changed was noted. *Copied* is the
source's value unchanged, *derived* is computed, *generated* is made by this node, *fixed* is the
same in every object. A code stands as (value, scheme, "meaning"); several are alternatives.
"Not in every object" means that it depends on the source or on what was found.

### Copied from the source

From the first clip of the exam, unchanged, where it has them; items of sequences that lack what the
standard demands of them are left out. Empty when the source has none:
{", ".join(code(keyword) for keyword in modules.TYPE_2)}."""
    ]
    texts += [f"**{title}**\n\n{keyword_table(words.split())}" for title, words in COPIED.items()]
    texts.append(f"### In every object\n\n{attribute_table(common)}")
    shown: dict[str, str] = {}
    for kind, found in kinds.items():
        name = UID(made.base.objects[kind].SOPClassUID).name
        model = shown.setdefault(name, kind)
        known = common if model == kind else (*common, *_alike(kinds[model], found))
        same = "" if model == kind else f"As {code(model)}, except:\n\n"
        texts.append(
            f"### {TITLES.get(kind, kind.capitalize())} ({code(kind)}: {name})\n\n"
            f"{same}{attribute_table(own(found, known))}"
        )
    return "\n\n".join([*texts, _content(made)])


def _alike(*found: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return shared({str(number): each for number, each in enumerate(found)})


def _content(made: Cases) -> str:
    reports, refusals = ([case.objects[kind] for case in made] for kind in ("sr", "refusal"))
    return f"""### Content of the structured report

TID 1500, complete, unverified and preliminary. Sub-regions are measured on their frame of the SEG;
lesion and reference tissue on the source frame. An item may occur several times with other
modifiers; an item whose value does not exist is left out. `sr.txt` is a whole report.

{report_tables(reports)}

### Content of the report of a refusal

{report_tables(refusals)}"""


def _terminology(made: Cases) -> str:
    found = uses(made)
    return f"""## Coded terminology

"Where" names the output and the place: an attribute of it, or name, value or unit in a part of
the report.

### Codes of public schemes

{public_table(found)}

### Units

{unit_table(found)}

### Private codes, scheme {PRIVATE_SCHEME}

For what no public terminology names. Objects that use it declare the scheme in Coding Scheme
Identification Sequence (0008,0110) with its UID,
{PRIVATE_SCHEME_UID}. Values compare with case. Features of a
classifier that a site trained itself have codes of their own, made of the feature's name; a name
over 16 characters is its first nine and a digest.

{private_table(found)}"""


def _identifiers() -> str:
    return f"""## UIDs and series

UIDs of results are `2.25.` and a number of 128 bits, taken from a SHA-256 over what decides the
result: injection, SOP Instance UIDs of the sources and their bytes, models and their manifests,
recipe, the form of the results (`seg_geometry`, and which objects are made beyond the usual) and
software version. No clock and no random number is in it, so the same exam analysed again has the
same UIDs.
Transaction UIDs of storage commitment are random. Results go into the source's study, in a series
per kind and injection:

{_series_table()}

Device Serial Number (0018,1000) of this version is `{Equipment().serial}`: a digest of product and
version, the same on every node."""


def _series_table() -> str:
    rows = []
    for kind in sorted(KINDS.values(), key=lambda kind: kind.number):
        numbers = []
        for injection in (1, 2):
            dataset = Dataset()
            context = study_context(
                [example.header()], recipe="", when=example.context().when, injection=injection
            )
            stamp(dataset, context, kind.name, example.header().SOPClassUID)
            numbers.append(dataset.SeriesNumber)
        rows.append((kind.name, kind.modality, *numbers, kind.description))
    head = ("Output", "Modality", "Series Number, injection 1", "injection 2", "Series Description")
    return table(head, rows)


def _character_sets() -> str:
    known = ", ".join(code(name) for name in python_encoding if name)
    return f"""## Character sets

Results have the source's Specific Character Set (0008,0005), so that copied text is unchanged. What
this node writes itself is ASCII, which every set can hold. Known are: {known}."""


def _security() -> str:
    lowest = tls.client_context().minimum_version.name
    return f"""## Security

| | |
|---|---|
| TLS | off by default; `[tls] receive` for the DICOM port, `tls` for each destination |
| Profile | after the BCP 195 profile of PS3.15 Annex B; no claim beyond the next rows |
| Versions | at least {code(lowest)}; TLS 1.3 where the peer and OpenSSL know it |
| Cipher suites of TLS 1.2 | {code(tls._TLS_1_2_CIPHERS)} in OpenSSL's words |
| As acceptor | with TLS on, callers must show a certificate of the settings' authority |
| As requestor | the peer's certificate must be valid, of that authority, and name the host |
| Plain and TLS on one port | no: the port speaks one of them |
| Revocation of certificates | not checked |
| User identity negotiation, Kerberos, SAML | none |
| Audit trail (PS3.15 A.5, ATNA) | none; structured log lines without patient data |
| Digital signatures, encryption of attributes, de-identification | none |
| Operator's page | HTTP without login, on this machine unless set otherwise |"""


def _limits() -> str:
    return """## Limits

- Only US Multi-frame clips, and US Image with several frames, are analysed. Timing and pixel
  spacing must be in the header; neither is invented. See README.md for what is measured on what.
- The objects in this document and the dumps are of a clip in the US Multi-frame class.
- Ultrasound has no frame of reference. The SEG has a generated one, an orientation and no position,
  and refers to one frame of its source.
- Dates and times of results are those of the source's time zone, Timezone Offset From UTC
  (0008,0201), and of this machine's where it has none.
- Probability, classification and sub-regions come from models that were trained mostly on simulated
  exams. The report says of each model what it was trained on, and how well it does on what.
- Validators' output on the dumps in this folder is in `validators.md`; no IHE connectathon was
  attended."""
