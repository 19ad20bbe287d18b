"""Ties: which of several equals is taken, the same on every processor.

Vector units of different processors round differently in the last bits, so candidates that are
equal in truth come out in one order here and in another there. Whatever picks a least or a best
among candidates calls values equal that differ by less than a relative `TIE` and takes the first of
them in the order in which they were given. Whatever rounds to whole numbers or powers of two takes
a number that close to one for that one.
"""

from collections.abc import Mapping

import numpy as np

Array = float | np.ndarray
"""A scalar or an array."""

TIE = 1e-9
"""Relative difference below which values count as equal: far above rounding, far below meaning
[-].
"""


def ranks(values: np.ndarray, size: float | None = None) -> np.ndarray:
    """Rank of each value, least first, where equals share a rank.

    Sorted values v are equal as long as v[i + 1] - v[i] <= TIE |v[i]|.

    Parameters
    ----------
    values : array, shape (n,)
        What is compared; missing ones rank last [any].
    size : float, optional
        Magnitude that differences are held against, for values that are themselves differences of
        larger numbers; each value's own without it [as the values].

    Returns
    -------
    array of int, shape (n,)
        From 0 [-].

    Examples
    --------
    >>> ranks(np.array([0.3, 0.1 + 0.2, 0.1, np.inf])).tolist()
    [1, 1, 0, 2]
    >>> ranks(np.array([2.9e-11, 0.0, 5.0]), size=1e3).tolist()
    [0, 0, 1]
    """
    values = np.asarray(values, dtype=float)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    below, above = ordered[:-1], ordered[1:]
    own = np.minimum(np.abs(below), np.abs(above))
    with np.errstate(invalid="ignore"):  # the difference of two infinities is none
        equal = (above == below) | (above - below <= TIE * (own if size is None else size))
    out = np.zeros(len(values), dtype=int)
    out[order[1:]] = np.cumsum(~equal)
    return out


def order(values: np.ndarray, size: float | None = None) -> np.ndarray:
    """Indices that sort values, least first; equals stay as given.

    Parameters
    ----------
    values : array, shape (n,)
        What is compared [any].
    size : float, optional
        As in `ranks` [as the values].

    Returns
    -------
    array of int, shape (n,)
        Indices [-].

    Examples
    --------
    >>> order(np.array([0.1 + 0.2, 0.3, 0.1])).tolist()
    [2, 0, 1]
    """
    return np.argsort(ranks(values, size), kind="stable")


def least(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Index of the least value, of equals the first.

    Parameters
    ----------
    values : array
        What is compared, at least one along the axis; missing ones are passed over [any].
    axis : int
        Along which [-].

    Returns
    -------
    array of int
        Index along the axis, without that axis [-].

    Examples
    --------
    >>> int(least(np.array([0.5, 0.1 + 0.2, 0.3])))
    1
    """
    values = np.asarray(values, dtype=float)
    lowest = np.nanmin(values, axis=axis, keepdims=True)
    return np.argmax(values <= lowest + TIE * np.abs(lowest), axis=axis)


def most(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Index of the greatest value, of equals the first.

    Parameters
    ----------
    values : array
        What is compared, at least one along the axis; missing ones are passed over [any].
    axis : int
        Along which [-].

    Returns
    -------
    array of int
        Index along the axis, without that axis [-].

    Examples
    --------
    >>> int(most(np.array([0.1, 0.3, 0.1 + 0.2])))
    1
    """
    return least(-np.asarray(values, dtype=float), axis)


def by_value(values: Mapping[str, float]) -> list[str]:
    """Names in the order of their values, least first; equals stay as given.

    Parameters
    ----------
    values : Mapping of str to float
        What is compared, by name [any].

    Returns
    -------
    list of str
        The names.

    Examples
    --------
    >>> by_value({"B200": 0.1 + 0.2, "H200": 0.3, "H100": 0.1})
    ['H100', 'B200', 'H200']
    """
    names = list(values)
    return [names[i] for i in order(np.array([values[name] for name in names], dtype=float))]


def ceil(values: Array) -> np.ndarray:
    """Whole number that is not below, by more than a tie.

    Parameters
    ----------
    values : Array
        What is rounded up, not below 0 [any].

    Returns
    -------
    array
        Whole numbers [the same].

    Examples
    --------
    >>> np.ceil(1.1 * 1.1 * 100).item(), ceil(1.1 * 1.1 * 100).item(), ceil(121.1).item()
    (122.0, 121.0, 122.0)
    """
    return np.ceil(np.asarray(values, dtype=float) * (1 - TIE))


def power_of_two(values: Array, down: bool = False) -> np.ndarray:
    """Nearest power of two that is not below, or not above, by more than a tie.

    The exponent is read off the float, as a logarithm may come out just beside a whole number.

    Parameters
    ----------
    values : Array
        What is rounded, above 0 [any].
    down : bool
        To the power that is not above.

    Returns
    -------
    array
        Powers of two [the same].

    Examples
    --------
    >>> power_of_two(np.array([1.0, 5.0, 1024.0, 1024.0 + 1e-9, 1025.0])).tolist()
    [1.0, 8.0, 1024.0, 1024.0, 2048.0]
    >>> power_of_two(np.array([1.0, 3.5, 4.0 - 1e-12, 4.0]), down=True).tolist()
    [1.0, 2.0, 4.0, 4.0]
    """
    values = np.asarray(values, dtype=float) * (1 + TIE if down else 1 - TIE)
    _, exponent = np.frexp(values)  # values = mantissa 2^exponent, 1/2 <= mantissa < 1
    return np.ldexp(1.0, exponent - 1 if down else exponent)
