"""Uncertain inputs: low, mid and high become distributions, quasi-random draws run through the same
array formulas.

Two readings of a range, never mixed silently:

* ``band``: low and high are the 10th and 90th percentile (an 80 % range of a prediction), mid the
  median. The distribution is a split normal, of the logarithm where all three are positive.
* ``limits``: low and high are ends that reasoning does not pass (an assumption), and the value is
  as likely above mid as below. The distribution is two half triangles that meet at mid, of the
  logarithm where all three are positive.

Inputs are drawn independently of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trn3 import ties

if TYPE_CHECKING:
    import pandas as pd

Draws = dict[str, np.ndarray]
Evaluate = Callable[[Draws], np.ndarray]

LEVELS = (10.0, 50.0, 90.0)
"""Percentiles shown everywhere; the outer two bound the 80 % range."""


@dataclass(frozen=True)
class Input:
    """An uncertain number.

    Attributes
    ----------
    low, mid, high : float
        Its range, in order [any]
    kind : str
        ``band`` or ``limits``, see the module
    unit : str
        Unit of the three
    label : str
        Name for a reader
    status : str
        Where it comes from: published, measured, derived, reported, assumed
    note : str
        The reason of an assumption
    """

    low: float
    mid: float
    high: float
    kind: str = "limits"
    unit: str = ""
    label: str = ""
    status: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        name, values = self.label or "input", (self.low, self.mid, self.high)
        if not self.low <= self.mid <= self.high or not np.isfinite(values).all():
            raise ValueError(
                f"{name}: low, mid, high = {values} {self.unit}: "
                "allowed are finite numbers in that order"
            )
        if self.kind not in ("band", "limits"):
            raise ValueError(f"{name}: kind = {self.kind!r}: allowed are band, limits")

    def quantile(self, share: np.ndarray) -> np.ndarray:
        """Value below which a share of the distribution lies.

        Parameters
        ----------
        share : array
            Cumulative probability, strictly between 0 and 1 [-]

        Returns
        -------
        array
            Value [the input's unit]

        Examples
        --------
        >>> Input(2.0, 4.0, 8.0, "band").quantile(np.array([0.1, 0.5, 0.9])).round(6)
        array([2., 4., 8.])
        >>> Input(1.0, 2.0, 4.0, "limits").quantile(np.array([1e-9, 0.5, 1 - 1e-9])).round(3)
        array([1., 2., 4.])
        """
        low, mid, high = (
            np.log([self.low, self.mid, self.high])
            if self.low > 0
            else (self.low, self.mid, self.high)
        )
        from scipy import stats  # a third of a second that help and parameters need not wait for

        below = share < 0.5
        if self.kind == "band":
            away = np.abs(stats.norm.ppf(share) / stats.norm.ppf(LEVELS[-1] / 100.0))
        else:
            away = 1.0 - np.sqrt(2.0 * np.where(below, share, 1.0 - share))
        x = mid + away * np.where(below, low - mid, high - mid)
        return np.exp(x) if self.low > 0 else x


def draws(inputs: Mapping[str, Input], n: int = 8192, seed: int = 3) -> Draws:
    """Quasi-random draws (scrambled Sobol points) of all inputs at once.

    Parameters
    ----------
    inputs : Mapping of str to Input
        The uncertain inputs, at least one
    n : int
        Number of draws; a power of two balances best [-]
    seed : int
        Seed of the scrambling: the same seed gives the same draws on every machine [-]

    Returns
    -------
    dict of str to array
        `n` values of each input [the input's unit]

    Examples
    --------
    >>> x = draws({"price": Input(2.6, 3.5, 5.2)}, n=4096)["price"]
    >>> bool(x.min() > 2.6), bool(x.max() < 5.2), float(np.median(x).round(3))
    (True, True, 3.5)
    """
    from scipy import stats

    points = stats.qmc.Sobol(len(inputs), seed=seed).random_base2(int(np.ceil(np.log2(n))))[:n]
    points = np.clip(points, 1e-12, 1.0 - 1e-12)
    return {name: each.quantile(points[:, i]) for i, (name, each) in enumerate(inputs.items())}


def percentiles(values: np.ndarray, levels: tuple[float, ...] = LEVELS) -> tuple[float, ...]:
    """P10, P50 and P90 of a result.

    Parameters
    ----------
    values : array
        Draws of the result [any]
    levels : tuple of float
        Percentiles, 0 to 100 [-]

    Returns
    -------
    tuple of float
        The percentiles [as the values]

    Examples
    --------
    >>> percentiles(np.arange(101.0))
    (10.0, 50.0, 90.0)
    """
    return tuple(float(v) for v in np.percentile(values, levels))


def ratio_range(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    r"""Ratio of two results with independent 80 % bands.

    .. math:: \ln r_{\pm} = \ln r \pm \sqrt{\ln^2 (a_{\pm} / a) + \ln^2 (b_{\mp} / b)}

    Parameters
    ----------
    above, below : array of three
        Low, middle and high of numerator and denominator, all positive [any]

    Returns
    -------
    numpy.ndarray
        Low, middle and high of the ratio [-]

    Notes
    -----
    Exact where both are log-normal; errors that the two share (one model, one load) would
    cancel, so the band is wide.

    Examples
    --------
    >>> ratio_range(np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 1.0])).round(6).tolist()
    [1.0, 2.0, 4.0]
    """
    a, b = np.log(np.asarray(above, float)), np.log(np.asarray(below, float))
    down = np.hypot(a[1] - a[0], b[2] - b[1])
    up = np.hypot(a[2] - a[1], b[1] - b[0])
    return np.exp(a[1] - b[1] + np.array([-down, 0.0, up]))


def tornado(
    evaluate: Evaluate, inputs: Mapping[str, Input], samples: Draws, output: np.ndarray
) -> pd.DataFrame:
    """What moves the result: each input alone from its P10 to its P90, and its rank correlation
    over all draws.

    Parameters
    ----------
    evaluate : callable
        From a dict of arrays, one per input, to an array of results
    inputs : Mapping of str to Input
        The uncertain inputs
    samples : dict of str to array
        Draws of them [any]
    output : array
        The result of those draws [any]

    Returns
    -------
    DataFrame
        input, label, unit, low, high, at_low, at_high, span, rank_correlation; widest span first

    Examples
    --------
    >>> given = {"a": Input(1.0, 2.0, 3.0), "b": Input(1.0, 1.1, 1.2)}
    >>> x = draws(given, 256)
    >>> table = tornado(lambda v: v["a"] - v["b"], given, x, x["a"] - x["b"])
    >>> table[["input", "rank_correlation"]].round(1)
      input  rank_correlation
    0     a               1.0
    1     b              -0.1
    """
    import pandas as pd
    from scipy import stats

    k, ends = len(inputs), np.array([LEVELS[0], LEVELS[-1]]) / 100.0
    cases = {name: np.full(2 * k, each.mid) for name, each in inputs.items()}
    for i, (name, each) in enumerate(inputs.items()):
        cases[name][2 * i : 2 * i + 2] = each.quantile(ends)
    at = np.asarray(evaluate(cases), dtype=float).reshape(k, 2)
    ranks = stats.rankdata(ties.ranks(output))
    size = float(np.max(np.abs(at)))  # a span is a difference of two results
    span = np.abs(at[:, 1] - at[:, 0])
    span = np.where(span <= ties.TIE * size, 0.0, span)
    rows = [
        {
            "input": name,
            "label": each.label or name,
            "unit": each.unit,
            "low": cases[name][2 * i],
            "mid": each.mid,
            "high": cases[name][2 * i + 1],
            "at_low": at[i, 0],
            "at_high": at[i, 1],
            "span": span[i],
            "rank_correlation": np.corrcoef(stats.rankdata(ties.ranks(samples[name])), ranks)[0, 1]
            if np.ptp(samples[name]) > ties.TIE * np.max(np.abs(samples[name]))
            else 0.0,
        }
        for i, (name, each) in enumerate(inputs.items())
    ]
    return pd.DataFrame(rows).iloc[ties.order(-span, size)].reset_index(drop=True)


def threshold(
    evaluate: Evaluate, inputs: Mapping[str, Input], name: str, reach: float = 4.0
) -> float:
    """Value of one input at which the result changes sign, the others at mid.

    Parameters
    ----------
    evaluate : callable
        From a dict of arrays to an array of results
    inputs : Mapping of str to Input
        The uncertain inputs
    name : str
        Which input
    reach : float
        How far beyond low and high to look, as a factor [-]

    Returns
    -------
    float
        The crossing nearest to mid; NaN if the sign never changes in reach [the input's unit]

    Examples
    --------
    >>> given = {"a": Input(1.0, 2.0, 3.0), "b": Input(1.0, 1.5, 2.0)}
    >>> round(threshold(lambda v: v["a"] - v["b"], given, "a"), 6)
    1.5
    """
    from scipy import optimize

    each, others = inputs[name], {n: i.mid for n, i in inputs.items()}

    def result(x: np.ndarray) -> np.ndarray:
        return np.asarray(
            evaluate({n: np.full_like(x, v) for n, v in others.items()} | {name: x}), dtype=float
        )

    spacing = np.geomspace if each.low > 0 else np.linspace
    ends = [end * factor for end in (each.low, each.high) for factor in (reach, 1.0 / reach)]
    floor = -0.99 if each.unit == "share/year" else -np.inf  # nothing falls by more than all of it
    grid = spacing(max(min(ends), floor), max(ends), 257)
    change = np.flatnonzero(np.diff(np.sign(result(grid))))
    if not len(change):
        return float("nan")
    near = change[ties.least(np.abs(grid[change] - each.mid))]
    return float(
        optimize.brentq(lambda x: float(result(np.array([x]))[0]), grid[near], grid[near + 1])
    )
