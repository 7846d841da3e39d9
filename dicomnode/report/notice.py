"""What every picture says about itself."""

from dicomnode.science.findings import Findings

__all__ = ["NOTICE", "SHORT_NOTICE", "training_notice"]

NOTICE = "AI result · research use only — not a medical device · not for measurement"
SHORT_NOTICE = "AI · research use only · not for measurement"


def training_notice(findings: Findings) -> str:
    """Return a warning where a model was trained on simulated exams, else nothing."""
    if any("simulat" in model.trained_on.lower() for model in findings.models):
        return "simulated training data: not validated on patients"
    return ""
