"""Units: everything inside is SI (bytes, seconds, joules, watts, FLOP); these are the only
conversions.
"""

import numpy as np

Array = float | np.ndarray
"""A scalar or an array; every formula broadcasts."""

KIB, MIB, GIB = 2.0**10, 2.0**20, 2.0**30
KILO, MEGA, GIGA, TERA, PETA = 1e3, 1e6, 1e9, 1e12, 1e15
HOUR_S, DAY_S, YEAR_S = 3600.0, 86400.0, 365.25 * 86400.0
KWH_J = 3.6e6


class TrnError(ValueError):
    """Base of every error that a user may see: one line that says what to change."""


class InputError(TrnError):
    """A number that no formula accepts; the text names the field, the value, its unit and what
    is allowed.
    """


def require(name: str, value: Array, unit: str, low: float = 0.0, closed: bool = False) -> None:
    """Refuse a number that is not finite, or not above a lowest value.

    Parameters
    ----------
    name : str
        Field, for the message.
    value : Array
        What was given; of an array the first bad element is named [any unit].
    unit : str
        Unit, for the message.
    low : float
        Lowest value [the same unit].
    closed : bool
        Whether the lowest value itself is allowed.

    Raises
    ------
    InputError
        If a value is not finite, below `low`, or equal to it where that is not allowed.

    Examples
    --------
    >>> require("mtti_s", -3.0, "s")
    Traceback (most recent call last):
    trn3.units.InputError: mtti_s = -3 s: must be finite and above 0 s
    """
    given = np.asarray(value, dtype=float)
    bad = ~np.isfinite(given) | (given < low if closed else given <= low)
    if np.any(bad):
        allowed = f"{'at least' if closed else 'above'} {low:g} {unit}".strip()
        raise InputError(
            f"{name} = {given[bad].flat[0]:g} {unit}: must be finite and {allowed}".replace(
                " :", ":"
            )
        )
