"""Normal numbers and exponentials that are the same, bit for bit, on every machine.

Rules of this module:

- A log price is an integer in units of 2**-52 (`int`, or numpy int64). Sums of integers do not
  depend on their order; sums of floats do.
- The library's log, sqrt and exp are used to build tables, never on a price: their last bit may
  differ between processors and versions. Both tables are compared with a SHA-256 written down
  here, so that a platform that rounds differently refuses to start instead of quoting other prices.
- Between table and price there are only IEEE additions and multiplications, one operation at a
  time and in a fixed order, so that the scalar and the array form of `exp` agree exactly.
"""

import hashlib
import math
from decimal import Context, Decimal
from functools import cache
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ONE: Final = 1 << 52
"""A log price of 1.0: the price is e times its level."""

NORMAL_UNIT: Final = 1 << 20
"""The value of a normal table entry that represents one standard deviation."""

NORMAL_SHA256 = "7e27fb847e5ea7612eaaa0e2dbfd3118a4da8fa3feadbe2ca7dd619cb93e3d36"
EXP_SHA256 = "b38c9a33415fec145508289a42533bb4f09ff4e6e3d12e8f93b7b1285af97264"

_UNIT = 1.0 / ONE
# exp(x) = exp(k / 256) * exp(rest): k from the table, 0 <= rest < 1/256 by the Taylor series,
# whose sixth-degree term, the first left out, is below 5e-18.
_SHIFT = 44
_REST = (1 << _SHIFT) - 1
_HALF = 2048
_FAR = 8 * ONE
_C2, _C3, _C4, _C5 = 1 / 2, 1 / 6, 1 / 24, 1 / 120


class TableError(RuntimeError):
    """A table is different on this machine; prices would not be those of the feed."""


class Tables:
    """Both tables, built and checked.

    Raises `TableError` if one of them does not have the expected SHA-256.
    """

    __slots__ = ("_exp", "_exp_list", "normal")

    def __init__(self) -> None:
        self.normal = _normal_table()
        """65,536 int32: a normal number for each 16-bit word, in units of 1 / `NORMAL_UNIT`."""
        self._exp = _exp_table()
        self._exp_list: list[float] = self._exp.tolist()  # list items need no conversion to float
        _check("normal", self.normal, NORMAL_SHA256)
        _check("exponential", self._exp, EXP_SHA256)

    def exp(self, x: int) -> float:
        """exp(x / ONE) within a relative error of 7e-16, for -8 <= x / ONE < 8.

        The domain is not checked: log prices have a standard deviation of 0.7.
        """
        r = (x & _REST) * _UNIT
        series = ((((_C5 * r + _C4) * r + _C3) * r + _C2) * r + 1.0) * r + 1.0
        return self._exp_list[(x >> _SHIFT) + _HALF] * series

    def factor(self, x: int) -> float:
        """exp(x / ONE) for any x, by multiplication if x is outside the domain of `exp`.

        Like `exp`, it is the same on every machine.
        """
        power = 1.0
        while x >= _FAR:
            power, x = power * self.exp(_FAR // 2), x - _FAR // 2
        while x < -_FAR:
            power, x = power * self.exp(-_FAR // 2), x + _FAR // 2
        return power * self.exp(x)

    def exp_array(self, x: NDArray[np.int64]) -> NDArray[np.float64]:
        """The result of `exp` for each element, exactly."""
        r = np.multiply(x & _REST, _UNIT, dtype=np.float64)
        series: NDArray[np.float64] = r * _C5
        for coefficient in (_C4, _C3, _C2, 1.0):
            series += coefficient
            series *= r
        series += 1.0
        series *= self._exp[(x >> _SHIFT) + _HALF]
        return series


@cache
def tables() -> Tables:
    """The tables, built once per operating system process. Raises `TableError`."""
    return Tables()


def digest(array: NDArray[Any]) -> str:
    """SHA-256, in hexadecimal, of the elements in little-endian byte order."""
    return hashlib.sha256(array.astype(array.dtype.newbyteorder("<")).tobytes()).hexdigest()


def _check(name: str, table: NDArray[Any], expected: str) -> None:
    found = digest(table)
    if found != expected:
        raise TableError(
            f"the {name} table has SHA-256 {found} on this machine, not {expected}: "
            "its prices would differ from those of other machines"
        )


def _normal_table() -> NDArray[np.int32]:
    """Normal quantiles at (i + 0.5) / 65536, scaled to mean square one exactly before rounding."""
    quantile = NormalDist().inv_cdf
    upper = [quantile((i + 0.5) / 65_536) for i in range(32_768, 65_536)]
    root_mean_square = math.sqrt(math.fsum(z * z for z in upper) / len(upper))
    positive = np.array([round(z / root_mean_square * NORMAL_UNIT) for z in upper], np.int32)
    # Mirrored, not computed, so that the mean is exactly zero.
    return np.concatenate((-positive[::-1], positive))


def _exp_table() -> NDArray[np.float64]:
    """exp(k / 256) for k = -2048 ... 2047, each the float nearest to the true value."""
    context = Context(prec=50)
    ratio = context.exp(Decimal(1) / 256)
    value = context.exp(Decimal(-8))
    values = []
    for _ in range(2 * _HALF):
        values.append(float(value))
        value = context.multiply(value, ratio)
    return np.array(values, np.float64)
