"""The notice that every picture carries."""

from dicomnode.science.findings import Findings, from_simulation

__all__ = ["NOTICE", "SHORT_NOTICE", "training_notice"]

NOTICE = "AI result · research use only — not a medical device · not for measurement"
SHORT_NOTICE = "AI · research use only · not for measurement"


def training_notice(findings: Findings) -> str:
    """Return a warning where models were trained on simulated exams, else nothing."""
    simulated = [model.name for model in findings.models if from_simulation(model.trained_on)]
    if not simulated:
        return ""
    if len(simulated) == len(findings.models):
        return "simulated training data: not validated on patients"
    return f"simulated training data: {', '.join(simulated)}; not validated"
