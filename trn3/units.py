"""Units: everything inside is SI (bytes, seconds, joules, watts, FLOP); these are the only conversions."""

import numpy as np

Array = float | np.ndarray
"""A scalar or an array; every formula broadcasts."""

KIB, MIB, GIB = 2.0**10, 2.0**20, 2.0**30
KILO, MEGA, GIGA, TERA, PETA = 1e3, 1e6, 1e9, 1e12, 1e15
HOUR_S, DAY_S, YEAR_S = 3600.0, 86400.0, 365.25 * 86400.0
KWH_J = 3.6e6
