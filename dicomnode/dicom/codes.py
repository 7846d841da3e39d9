"""Coded concepts of every output: public ones by name, private ones in one declared scheme.

Public codes were checked against PS3.16 as pydicom ships it. What no public terminology names
(peak enhancement, perfusion sub-region, ...) is coded in the scheme 99DICOMNODE, which each object
that uses it declares in Coding Scheme Identification Sequence (0008,0110).
"""

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicomnode.science.kinetics import PARAMETERS

__all__ = [
    "ACQUISITION_EQUIPMENT",
    "ANSWER",
    "AREA",
    "AREA_FRACTION",
    "ARTIFICIAL_INTELLIGENCE",
    "BASELINE",
    "BREAST",
    "CENTER",
    "CERTAINTY",
    "CLUSTER_ANALYSIS",
    "COMMENT",
    "CONTRIBUTION",
    "CURVE_MODEL",
    "DECISIONS",
    "DECISION_NAME",
    "DIFFERENCE_TO_TISSUE",
    "DISPERSION",
    "DYNAMIC_RANGE",
    "ENLARGEMENT",
    "ILLUSTRATION",
    "IMAGE_QUALITY",
    "IMAGING_PROCEDURE",
    "LATERALITY",
    "LESION",
    "LONG_AXIS",
    "LOWER_QUARTILE",
    "MEAN_CURVE",
    "MEDIAN",
    "MODEL_FITTING",
    "MORPHOLOGICALLY_ABNORMAL",
    "NOTICE",
    "PERFUSION_ANALYSIS",
    "PREVALENCE",
    "PRIVATE_SCHEME",
    "PRIVATE_SCHEME_UID",
    "PROBABILITY_LOWER",
    "PROBABILITY_OF_CANCER",
    "PROBABILITY_UPPER",
    "QUALITATIVE_EVALUATIONS",
    "QUANTITY",
    "RATIO_TO_TISSUE",
    "REASON",
    "RECIRCULATION",
    "REFERENCE_REGION",
    "REFUSED",
    "REPLICATES",
    "REPORT_PAGE",
    "RESAMPLING",
    "RING",
    "SEGMENTATION",
    "SELECTED_REGION",
    "SHORT_AXIS",
    "SOURCE_IMAGE",
    "STABILITY",
    "STATUS",
    "SUBREGION",
    "ULTRASOUND",
    "UNRELIABLE_REGION",
    "UPPER_QUARTILE",
    "WARNING",
    "check",
    "code_item",
    "contribution",
    "curve_model",
    "grade",
    "parameter",
    "plain",
    "private",
    "private_scheme",
    "relative_parameter",
    "unit",
]

PRIVATE_SCHEME = "99DICOMNODE"
PRIVATE_SCHEME_UID = "2.25.324322164979217540182349363622928569529"

BREAST = Code("76752008", "SCT", "Breast")
LESION = Code("52988006", "SCT", "Lesion")
MORPHOLOGICALLY_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
ULTRASOUND = Code("US", "DCM", "Ultrasound")
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
CLUSTER_ANALYSIS = Code("123107", "DCM", "Cluster Analysis")
ILLUSTRATION = Code("121080", "DCM", "Best illustration of finding")
CENTER = Code("111010", "DCM", "Center")
SELECTED_REGION = Code("111099", "DCM", "Selected region")
SOURCE_IMAGE = Code("121322", "DCM", "Source Image for Image Processing Operation")
SEGMENTATION = Code("113076", "DCM", "Segmentation")
PERFUSION_ANALYSIS = Code("129104", "DCM", "Perfusion image analysis")
MODEL_FITTING = Code("113241", "DCM", "Model fitting method")
QUANTITY = Code("246205007", "SCT", "Quantity")
COMMENT = Code("121106", "DCM", "Comment")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
IMAGE_QUALITY = Code("111101", "DCM", "Image Quality")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
PROBABILITY_OF_CANCER = Code("111047", "DCM", "Probability of cancer")
AREA = Code("42798000", "SCT", "Area")
LONG_AXIS = Code("103339001", "SCT", "Long Axis")
SHORT_AXIS = Code("103340004", "SCT", "Short Axis")
MEDIAN = Code("373099004", "SCT", "Median")
REFERENCE_REGION = Code("C94970", "NCIt", "Reference Region")

LATERALITY: Mapping[str, Code] = {  # CID 244
    "L": Code("7771000", "SCT", "Left"),
    "R": Code("24028007", "SCT", "Right"),
}
DECISIONS: Mapping[Literal["malignant", "benign", "indeterminate"], Code] = {  # CID 6063
    "malignant": Code("21594007", "SCT", "Malignant"),
    "benign": Code("30807003", "SCT", "Benign"),
    "indeterminate": Code("280416009", "SCT", "Indeterminate result"),
}
UNITS: Mapping[str, str] = {
    "1": "no units",
    "bit": "bit",
    "%": "Percent",
    "s": "second",
    "/mm": "per millimeter",
    "mm": "millimeter",
    "mm2": "square millimeter",
    "dB": "decibel",
    "Hz": "Hertz",
    "/s": "per second",
    "1/s": "per second",
    "{a.u.}": "arbitrary unit",
    "{a.u.}/s": "arbitrary unit per second",
    "{a.u.}.s": "arbitrary unit second",
    "{pixel}": "pixel",
    "{frame}": "frame",
}

_TRANSLITERATION = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "×": "x", "·": "-", "µ": "u", "μ": "u", "σ": "sigma", "Δ": "d"}
    | {"≤": "<=", "≥": ">=", "±": "+/-", "²": "2", "°": " deg", "…": "...", "≈": "~"}
    | {"“": '"', "”": '"', "’": "'", "‘": "'", "\\": "/"}
)


def plain(text: str, length: int | None = None) -> str:
    """Return ``text`` in ASCII, which every Specific Character Set (PS3.5, 6.1) can hold."""
    letters = unicodedata.normalize("NFKD", text.translate(_TRANSLITERATION))
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    ascii_text = bare.encode("ascii", "replace").decode("ascii")
    if length is None or len(ascii_text) <= length:
        return ascii_text
    return ascii_text[: length - 3] + "..."


def private(name: str, meaning: str) -> Code:
    """Return a code of our own scheme; a name over 16 characters gets a stable short form."""
    value = plain(name)
    if len(value) > 16:
        value = f"{value[:9]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
    return Code(value, PRIVATE_SCHEME, plain(meaning, 64))


SUBREGION = private("SUBREGION", "Perfusion sub-region")
UNRELIABLE_REGION = private("UNRELIABLE", "Perfusion could not be measured reliably")
RING = private("RING", "Tissue around the lesion")
AREA_FRACTION = private("AREAFRACTION", "Fraction of the lesion's area")
ENLARGEMENT = private("ENLARGEMENT", "Contrast area / B-mode area")
DECISION_NAME = private("CEUSCLASS", "What the model answers (research use, no diagnosis)")
ANSWER = private("ANSWER", "Answer in words")
CONTRIBUTION = private("BECAUSE", "What moved the probability, against the average exam")
PREVALENCE = private("PREVALENCE", "Share of malignant exams that the probability assumes")
PROBABILITY_LOWER = private("PROBLOWER", "Probability of cancer, lower limit")
PROBABILITY_UPPER = private("PROBUPPER", "Probability of cancer, upper limit")
LOWER_QUARTILE = private("Q1", "Lower quartile")
UPPER_QUARTILE = private("Q3", "Upper quartile")
DYNAMIC_RANGE = private("DYNAMICRANGE", "Log-compression dynamic range")
STATUS = private("STATUS", "Status of the CEUS analysis")
REFUSED = private("REFUSED", "Exam refused, not analysed")
REASON = private("REASON", "Why there is no definite answer")
WARNING = private("WARNING", "Warning")
NOTICE = private("NOTICE", "Conditions of use")
BASELINE = private("BASELINE", "Echo power before arrival of the bolus")
CURVE_MODEL = private("CURVEMODEL", "Bolus curve model")
RECIRCULATION = private("RECIRCULATION", "Share of the first pass that recirculates")
DISPERSION = private("DISPERSION", "Variance of samples over that of single-look speckle")
STABILITY = private("STABILITY", "Adjusted Rand index of repeated sub-region maps")
REPORT_PAGE = private("REPORTPAGE", "Report page of a CEUS analysis")
REPLICATES = private("REPLICATES", "Number of resamplings")
MEAN_CURVE = private("MEANCURVE", "Model fitted to the mean curve of the region")
RESAMPLING = private("TIMEBLOCKS", "Time blocks of the loop drawn again (bootstrap)")
RATIO_TO_TISSUE = private("TISSUERATIO", "Ratio to the median of reference tissue")
DIFFERENCE_TO_TISSUE = private("TISSUEDIFF", "Difference from the median of reference tissue")

_PARAMETER_CODES: Mapping[str, Code] = {item.name: Code(*item.code) for item in PARAMETERS}
_RELATIONS: Mapping[str, tuple[str, Code]] = {
    "ratio": ("ratio to reference tissue", RATIO_TO_TISSUE),
    "difference": ("minus reference tissue", DIFFERENCE_TO_TISSUE),
}
_RELATIVE_CODES: Mapping[str, tuple[Code, Code]] = {
    item.name: (
        private(f"REL-{item.name.upper()}", f"{item.code[2]}, {_RELATIONS[item.relation][0]}"),
        _RELATIONS[item.relation][1],
    )
    for item in PARAMETERS
    if item.relation in _RELATIONS
}


def parameter(name: str) -> Code:
    """Return the code of a kinetic parameter by its name in the table of science.kinetics."""
    return _PARAMETER_CODES.get(name) or private(name, name)


def relative_parameter(name: str) -> tuple[Code, Code]:
    """Return the code of a kinetic parameter set against reference tissue, and that of the method.

    It is a concept of its own, as Relative Regional Blood Flow (126397, DCM) is: a reader that
    heeds names only must never take a difference in seconds for a time to peak.
    """
    return _RELATIVE_CODES[name]


def check(name: str) -> Code:
    """Return the code of a quality check by its name in the table of science.quality."""
    return private(f"CHECK-{name}", f"Quality check: {name}")


def contribution(feature: str, words: str) -> Code:
    """Return the code of what a feature added to the log-odds of malignancy.

    It is a concept of its own for the reason that :func:`relative_parameter` gives.
    """
    return private(f"LO-{feature}", f"Added to log-odds: {words}")


def curve_model(family: str) -> Code:
    """Return the code of a family of bolus curves."""
    return private(family.upper(), f"{family} bolus")


def unit(symbol: str) -> Code:
    """Return a UCUM unit with its meaning in words."""
    return Code(symbol, "UCUM", UNITS.get(symbol, symbol))


def grade(letter: str) -> Code:
    """Return the code of an overall quality grade, A (best) to D."""
    return private(f"GRADE-{letter}", f"Quality grade {letter} (A best, D worst)")


def code_item(code: Code) -> Dataset:
    """Return the code as an item of a code sequence (PS3.3, 8.8)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def private_scheme() -> Dataset:
    """Return the item that declares our scheme in Coding Scheme Identification (0008,0110)."""
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeUID = PRIVATE_SCHEME_UID
    item.CodingSchemeName = "Codes of dicomnode for contrast-enhanced ultrasound"
    item.CodingSchemeResponsibleOrganization = "dicomnode"
    return item
