"""The curve of every pixel: a bolus fitted under the likelihood that speckle calls for."""

from dicomnode.science.fit.bolus import Fit, fit_binned, fit_curves, predict
from dicomnode.science.fit.recirculation import Recirculation

__all__ = ["Fit", "Recirculation", "fit_binned", "fit_curves", "predict"]
