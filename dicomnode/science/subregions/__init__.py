"""Perfusion sub-regions: a population codebook, a smooth map with true borders, its stability."""

from dicomnode.science.subregions.codebook import Codebook
from dicomnode.science.subregions.division import (
    assign,
    divide,
    feature_covariance,
    pixel_features,
    settle,
    unreliable,
)

__all__ = [
    "Codebook",
    "assign",
    "divide",
    "feature_covariance",
    "pixel_features",
    "settle",
    "unreliable",
]
