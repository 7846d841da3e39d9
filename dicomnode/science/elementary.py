"""exp and ln in single precision, written so that loops over them are vectorised.

Calls of the mathematics library inside a loop keep it from being vectorised; these polynomials do
not, and take a seventh of a nanosecond per value where the library takes five. The coefficients
are least-maximum fits (Lawson's iteration) of exp2 on [−½, ½] and of (ln(1+z) − z + z²/2)/z³ on
[√½ − 1, √2 − 1].
"""

import numpy as np

from dicomnode.science.compiled import inlined

__all__ = ["exp32", "log32"]

_F = np.float32
_I = np.int32
_LOG2_E, _LN_2, _HALF, _ONE = _F(1.4426950408889634), _F(0.6931471805599453), _F(0.5), _F(1)
_SMALLEST, _LARGEST = _F(-126), _F(126)
_BIAS, _MANTISSA, _ROOT_HALF = _I(127), _I(23), _I(0x3F3504F3)
_E0, _E1, _E2 = _F(1.000000071654367), _F(0.6931469670549258), _F(0.24022119724871333)
_E3, _E4, _E5 = _F(0.05550713289559286), _F(0.00967554129303104), _F(0.0013276466800426767)
_L0, _L1, _L2 = _F(0.3333391074559015), _F(-0.2500133700524081), _F(0.19963063082837262)
_L3, _L4, _L5 = _F(-0.16577586595184093), _F(0.14914780177725845), _F(-0.14267470327192108)
_L6 = _F(0.08700370742908471)


@inlined
def exp32(x):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """Give e^x, held within 2^±126; relative error below 4e-6 for |x| < 80, 2e-7 near 0."""
    scaled = min(max(x * _LOG2_E, _SMALLEST), _LARGEST)
    whole = np.floor(scaled + _HALF)
    part = scaled - whole
    value = _E0 + part * (_E1 + part * (_E2 + part * (_E3 + part * (_E4 + part * _E5))))
    return value * _I((_I(whole) + _BIAS) << _MANTISSA).view(_F)


@inlined
def log32(x):  # type: ignore[no-untyped-def]
    """Give ln x of a positive, normal number; error below 2e-7 of the larger of 1 and |ln x|."""
    bits = _F(x).view(_I)
    exponent = _I(_I(bits - _ROOT_HALF) >> _MANTISSA)
    z = _I(bits - _I(exponent << _MANTISSA)).view(_F) - _ONE
    rest = _L0 + z * (_L1 + z * (_L2 + z * (_L3 + z * (_L4 + z * (_L5 + z * _L6)))))
    return _F(exponent) * _LN_2 + (z - z * z * (_HALF - z * rest))
