"""The curve of every pixel: a bolus fitted under the likelihood that speckle calls for."""

from dicomnode.science.fit.bolus import (
    Fit,
    fit_binned,
    fit_curves,
    fit_means,
    predict,
    sensitivities,
)
from dicomnode.science.fit.levenberg_marquardt import LONGEST
from dicomnode.science.fit.recirculation import Recirculation
from dicomnode.science.fit.region import TOLERATED

__all__ = [
    "LONGEST",
    "TOLERATED",
    "Fit",
    "Recirculation",
    "fit_binned",
    "fit_curves",
    "fit_means",
    "predict",
    "sensitivities",
]
