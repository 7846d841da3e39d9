"""The curve of every pixel: a bolus fitted under the likelihood that speckle calls for."""

from dicomnode.science.fit.lognormal import Fit, fit_lognormal, predict
from dicomnode.science.fit.recirculation import Recirculation

__all__ = ["Fit", "Recirculation", "fit_lognormal", "predict"]
