"""Roofline: what arithmetic and memory traffic alone allow, and how matrix shapes lose some of
it.
"""

from typing import NamedTuple

import numpy as np

from trn3.units import Array

ARITHMETIC, MEMORY, LINK, FIXED = "arithmetic", "memory", "link", "fixed"
"""What a part of a step keeps busy: the matrix unit, the memory, a link, or nothing."""


class Part(NamedTuple):
    """One part of a step: what it keeps busy, and how long.

    Attributes
    ----------
    kind : str
        `ARITHMETIC`, `MEMORY`, `LINK` or `FIXED`.
    time_s : float or array
        Time that shows [s].
    """

    kind: str
    time_s: Array


def time_bounds(
    flops: Array, n_bytes: Array, peak_flops_per_s: Array, hbm_bytes_per_s: Array
) -> tuple[Array, Array]:
    """Least and most time of work that is limited by arithmetic and memory traffic alone.

    Lower: both overlap fully, max(F / P, B / W). Upper: they never overlap, F / P + B / W.

    Parameters
    ----------
    flops : float or array
        Floating-point operations [FLOP].
    n_bytes : float or array
        Bytes moved [byte].
    peak_flops_per_s : float or array
        Peak arithmetic rate [FLOP/s].
    hbm_bytes_per_s : float or array
        Peak memory bandwidth [byte/s].

    Returns
    -------
    tuple of float or array
        Lower and upper time [s].

    Notes
    -----
    Both assume peak rates, so a real time may exceed the upper bound.

    Examples
    --------
    The scaling book's TPU v5e, 1.97e14 FLOP/s: 1e12 FLOP take at least 5.1 ms.

    >>> lower, upper = time_bounds(1e12, 0.0, 1.97e14, 8.2e11)
    >>> round(float(1e3 * lower), 1), bool(lower == upper)
    (5.1, True)

    References
    ----------
    Austin et al. 2025, How to scale your model, part 1.
    """
    arithmetic, memory = flops / peak_flops_per_s, n_bytes / hbm_bytes_per_s
    return np.maximum(arithmetic, memory)[()], arithmetic + memory


def ridge(peak_flops_per_s: Array, hbm_bytes_per_s: Array) -> Array:
    """Intensity above which arithmetic is the limit: P / W.

    Parameters
    ----------
    peak_flops_per_s : float or array
        Peak arithmetic rate [FLOP/s].
    hbm_bytes_per_s : float or array
        Peak memory bandwidth [byte/s].

    Returns
    -------
    float or array
        Arithmetic intensity [FLOP/byte].

    Examples
    --------
    TPU v5e in the scaling book: 1.97e14 / 8.2e11 = 240 FLOP/byte.

    >>> round(ridge(1.97e14, 8.2e11))
    240
    """
    return peak_flops_per_s / hbm_bytes_per_s


def attainable_flops_per_s(
    intensity: Array, peak_flops_per_s: Array, hbm_bytes_per_s: Array
) -> Array:
    """Roofline: min(P, I W).

    Parameters
    ----------
    intensity : float or array
        Operations per byte of memory traffic [FLOP/byte].
    peak_flops_per_s : float or array
        Peak arithmetic rate [FLOP/s].
    hbm_bytes_per_s : float or array
        Peak memory bandwidth [byte/s].

    Returns
    -------
    float or array
        Highest arithmetic rate [FLOP/s].

    Examples
    --------
    >>> float(attainable_flops_per_s(1.0, 1.97e14, 8.2e11)) / 1e12
    0.82

    References
    ----------
    Williams, Waterman and Patterson 2009, Roofline, CACM 52(4).
    """
    return np.minimum(peak_flops_per_s, intensity * hbm_bytes_per_s)[()]


def matmul_time_s(
    m: Array,
    n: Array,
    k: Array,
    flops_per_s: Array,
    hbm_bytes_per_s: Array,
    dim_half: Array = 0.0,
    block: Array = np.inf,
) -> Array:
    """Time of a matrix multiplication [m, k] x [k, n] of 16-bit numbers.

    t = max(2 m n k / F (1 + n0 (1/m + 1/n + 1/k + 1/block)), 2 (m n + m k + n k) / W)

    Parameters
    ----------
    m, n, k : float or array
        Rows, columns and inner dimension [-].
    flops_per_s : float or array
        Arithmetic rate on large matrices [FLOP/s].
    hbm_bytes_per_s : float or array
        Sustained memory bandwidth [byte/s].
    dim_half : float or array
        n0: the dimension at which one side alone halves the rate [-].
    block : float or array
        Side of the part of the result that on-chip memory holds; larger matrices read their
        operands again [-].

    Returns
    -------
    float or array
        Time [s].

    Notes
    -----
    The inverse dimensions stand for filling and draining the matrix unit; tiles that do not
    divide are left out, because published runs use shapes that do.

    Examples
    --------
    Scaling book: a bf16 matmul on TPU v5e is limited by arithmetic from 240 tokens.

    >>> at = lambda tokens: float(matmul_time_s(tokens, 1e9, 1e9, 1.97e14, 8.2e11))
    >>> round(at(120.0) / at(1.0), 2), round(at(480.0) / at(240.0), 1)
    (1.0, 2.0)
    """
    flops, traffic = 2.0 * m * n * k, 2.0 * (m * n + m * k + n * k)
    shaped = flops / flops_per_s * (1.0 + dim_half * (1.0 / m + 1.0 / n + 1.0 / k + 1.0 / block))
    return np.maximum(shaped, traffic / hbm_bytes_per_s)[()]
