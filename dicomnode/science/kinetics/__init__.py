"""Bolus kinetics: curve models, the families that are fitted, and their parameters."""

from dicomnode.science.kinetics.evaluation import (
    FittedCurves,
    arrivals,
    curve_parameters,
    evaluate,
    relative,
)
from dicomnode.science.kinetics.parameters import PARAMETERS, Parameter
from dicomnode.science.kinetics.shapes import FAMILIES, LOGNORMAL, Family
from dicomnode.science.kinetics.textbook import fpt, gamma_variate, lagged_normal, ldrw, lognormal

__all__ = [
    "FAMILIES",
    "LOGNORMAL",
    "PARAMETERS",
    "Family",
    "FittedCurves",
    "Parameter",
    "arrivals",
    "curve_parameters",
    "evaluate",
    "fpt",
    "gamma_variate",
    "lagged_normal",
    "ldrw",
    "lognormal",
    "relative",
]
