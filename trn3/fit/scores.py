"""Scores of predictions: errors by group, bands from misses, and how well bands hold what was
measured.

Errors are logarithms of predicted over measured. Every score weights (source, model, chip) groups
equally.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from trn3.fit import calibration

LEVEL = 0.8
RESAMPLES = 1000
"""Bootstrap samples of groups."""
UNSEEN = 4.0
"""Folds for which errors on generations never fitted count in a band; docs/methodology.md
compares others.
"""


def weighted_quantile(x: np.ndarray, q: float, weights: np.ndarray) -> float:
    """Quantile of weighted values, interpolated between the centres of their weights.

    Parameters
    ----------
    x : numpy.ndarray
        Values [-].
    q : float
        Share below, 0-1 [-].
    weights : numpy.ndarray
        Positive weights [-].

    Returns
    -------
    float
        The quantile, nan where there is no value [-].

    Examples
    --------
    >>> weighted_quantile(np.array([1.0, 2.0, 3.0]), 0.5, np.ones(3))
    2.0
    """
    if not len(x):
        return float("nan")
    order = np.argsort(x, kind="stable")
    w = weights[order] / weights.sum()
    return float(np.interp(q, np.cumsum(w) - w / 2, x[order]))


def group_score(log_error: np.ndarray, group: np.ndarray) -> pd.DataFrame:
    """Median absolute error |predicted / measured - 1| of each group.

    Parameters
    ----------
    log_error : numpy.ndarray
        Log of predicted over measured [-].
    group : numpy.ndarray
        Group of each row [-].

    Returns
    -------
    pandas.DataFrame
        Columns group, n, median_abs_error and bias (median signed error) [-].
    """
    frame = pd.DataFrame({"group": group, "error": np.expm1(log_error)})
    frame["abs"] = frame["error"].abs()
    by = frame.groupby("group")
    return pd.DataFrame(
        {"n": by.size(), "median_abs_error": by["abs"].median(), "bias": by["error"].median()}
    ).reset_index()


def bootstrap(
    log_error: np.ndarray, band: np.ndarray, group: np.ndarray, level: float = LEVEL
) -> dict[str, list[float]]:
    """Ranges of the median factor and of the coverage over resampled groups.

    Parameters
    ----------
    log_error : numpy.ndarray
        Log of predicted over measured [-].
    band : numpy.ndarray
        Lower and upper log error of each row, shape (2, n) [-].
    group : numpy.ndarray
        Group of each row; groups are drawn with replacement, whole [-].
    level : float
        Share of the resamples that a range holds [-].

    Returns
    -------
    dict
        Low and high of ``group_median_factor`` and of ``band_coverage`` [-].

    References
    ----------
    Efron and Tibshirani 1993, An introduction to the bootstrap, section 13.3 (percentile
    interval).
    """
    inside = 1.0 * ((band[0] <= log_error) & (log_error <= band[1]))
    inside = np.where(np.isnan(band).any(axis=0), np.nan, inside)
    by = pd.DataFrame({"miss": np.abs(log_error), "inside": inside}).groupby(np.asarray(group))
    miss, held = by["miss"].median().to_numpy(), by["inside"].mean().to_numpy()
    drawn = np.random.default_rng(0).integers(len(miss), size=(RESAMPLES, len(miss)))
    ends = [(1 - level) / 2, (1 + level) / 2]
    factor = np.quantile(np.exp(np.median(miss[drawn], axis=1)), ends)
    known = held[~np.isnan(held)]
    cover = np.full(2, np.nan)
    if len(known):
        drawn = np.random.default_rng(0).integers(len(known), size=(RESAMPLES, len(known)))
        cover = np.quantile(known[drawn].mean(axis=1), ends)
    return {"group_median_factor": factor.tolist(), "band_coverage": cover.tolist()}


def _ends(error: np.ndarray, weights: np.ndarray, level: float) -> np.ndarray:
    return np.array(
        [weighted_quantile(error, q, weights) for q in ((1 - level) / 2, (1 + level) / 2)]
    )


def own_ends(
    error: np.ndarray, group: np.ndarray, stack: np.ndarray, level: float = LEVEL
) -> np.ndarray:
    """Range that holds a share of errors; stacks count equally, and in a stack its groups.

    Parameters
    ----------
    error : numpy.ndarray
        Log of predicted over measured [-].
    group, stack : numpy.ndarray
        Group and software stack of each row [-].
    level : float
        Share that the range holds [-].

    Returns
    -------
    numpy.ndarray
        Lower and upper log error [-].

    Examples
    --------
    >>> own_ends(np.arange(11.0), np.arange(11), np.repeat("a", 11), 0.8).round(1)
    array([0.6, 9.4])
    """
    weights = calibration.group_weights(group)
    weights = weights / pd.Series(weights).groupby(stack).transform("sum").to_numpy()
    return _ends(error, weights, level)


@dataclass(frozen=True)
class Residuals:
    """Left-out errors, and the bands that follow from them; one value per row of a problem.

    Attributes
    ----------
    error, fold : numpy.ndarray
        Log of predicted over measured with the row's fold left out of the fit, and that fold (its
        source) [-].
    unseen, generation : numpy.ndarray
        The same with the row's chip generation left out, and that generation [-].
    group, family, metric : numpy.ndarray
        Group of the row; rows of one family share a band; rows of another metric tell a family
        nothing [-].
    """

    error: np.ndarray
    fold: np.ndarray
    unseen: np.ndarray
    generation: np.ndarray
    group: np.ndarray
    family: np.ndarray
    metric: np.ndarray

    def keep(self, mask: np.ndarray) -> "Residuals":
        """Some of the rows.

        Parameters
        ----------
        mask : numpy.ndarray
            Which [-].

        Returns
        -------
        Residuals
            Their errors [-].
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[mask] for k, v in values.items() if isinstance(v, np.ndarray)})

    def band(self, family: str, metric: str, level: float = LEVEL) -> np.ndarray:
        r"""Range of the log error of a run that nobody has seen.

        .. math:: q = \frac{n\,q_{own} + k\,q_{new}}{n + k}, \qquad
            \bar q \pm \frac{t_{n+k-1}}{z} \sqrt{1 + \frac{1}{n+k}}\; (q_\pm - \bar q)

        Parameters
        ----------
        family : str
            Family of the run, known or not [-].
        metric : str
            What is predicted [-].
        level : float
            Share that the band should hold [-].

        Returns
        -------
        numpy.ndarray
            Lower and upper log error, around 0; measured lies in predicted / exp(upper .. lower)
            [-].

        Notes
        -----
        q_own are the two quantiles of the family's own errors, groups counting equally, from
        n folds; q_new those of errors on chip generations that were left out, generations counting
        equally, with the weight of `UNSEEN` = k folds. The lower and the upper end are apart, so a
        bias moves the band. The factor is that of a normal sample's prediction interval: 1 for many
        folds, wide for few.

        References
        ----------
        Hahn and Meeker 1991, Statistical intervals, section 4.7 (prediction interval
        from few values).
        """
        from scipy import special

        mine, near = self.family == family, self.metric == metric
        weights = calibration.group_weights(self.group[near])
        share = pd.Series(weights).groupby(self.generation[near]).transform("sum").to_numpy()
        ends, n = (
            UNSEEN * _ends(self.unseen[near], weights / share, level),
            len(np.unique(self.fold[mine])),
        )
        if n:
            ends = ends + n * _ends(
                self.error[mine], calibration.group_weights(self.group[mine]), level
            )
        total, tail = n + UNSEEN, (1 + level) / 2
        wide = special.stdtrit(total - 1, tail) / special.ndtri(tail) * np.sqrt(1 + 1 / total)
        ends, middle = ends / total, ends.mean() / total
        low, high = middle + wide * (ends - middle)
        return np.array([min(low, 0.0), max(high, 0.0)])

    def held_out(self, level: float = LEVEL) -> np.ndarray:
        """Band of every row, from the other folds alone.

        Parameters
        ----------
        level : float
            Share that the bands should hold [-].

        Returns
        -------
        numpy.ndarray
            Shape (2, n): lower and upper log error [-].
        """
        out = np.empty((2, len(self.error)))
        for label in np.unique(self.fold):
            known = self.keep(self.fold != label)
            for family in np.unique(self.family[self.fold == label]):
                mine = (self.fold == label) & (self.family == family)
                out[:, mine] = known.band(family, self.metric[mine][0], level)[:, None]
        return out


POOLED = 8.0
"""Stacks for which the misses of all families count in the band of one."""


@dataclass(frozen=True)
class StackResiduals(Residuals):
    """Left-out errors of whole software stacks: what differs between stacks makes the band.

    Attributes
    ----------
    source : numpy.ndarray
        Stack of each row [-].
    pooled : float
        Stacks for which the misses of all families count in the band of one [-].
    """

    source: np.ndarray
    pooled: float = POOLED

    def band(self, family: str, metric: str, level: float = LEVEL) -> np.ndarray:
        r"""Range of the log error of a run on a stack that nobody has seen.

        .. math:: q = \frac{n\,q_{own} + k\,q_{all}}{n + k}

        Parameters
        ----------
        family : str
            Family of the run, known or not [-].
        metric : str
            What is predicted [-].
        level : float
            Share that the band should hold [-].

        Returns
        -------
        numpy.ndarray
            Lower and upper log error, around 0 [-].

        Notes
        -----
        q are the two quantiles of left-out errors, stacks counting equally: the family's own, of n
        stacks, and those of all families with the weight of `pooled` = k stacks. Each end has its
        own quantile, so the band is skewed where the misses are.
        """
        near = self.metric == metric
        mine = near & (self.family == family)
        weights = calibration.group_weights(self.group)
        weights = weights / pd.Series(weights).groupby(self.source).transform("sum").to_numpy()
        ends = self.pooled * _ends(self.error[near], weights[near], level)
        n = len(np.unique(self.source[mine]))
        if n:
            ends = ends + n * _ends(self.error[mine], weights[mine], level)
        low, high = ends / (n + self.pooled)
        return np.array([min(low, 0.0), max(high, 0.0)])


def widest(ends: Sequence[np.ndarray], by: float) -> np.ndarray:
    """Range that holds several ranges around 0, widened in quadrature by an input that is uncertain
    itself.

    Parameters
    ----------
    ends : sequence of numpy.ndarray
        Lower and upper log error of each [-].
    by : float
        Half the log range of the input [-].

    Returns
    -------
    numpy.ndarray
        Lower and upper log error [-].

    Examples
    --------
    >>> widest([np.array([-0.3, 0.0]), np.array([-0.1, 0.3])], 0.4)
    array([-0.5,  0.5])
    """
    low, high = np.array(ends).T
    return np.hypot([low.min(), high.max()], by) * [-1, 1]


def widened(ends: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Bands of rows, wider in quadrature by what the rows leave open.

    Parameters
    ----------
    ends : numpy.ndarray
        Lower and upper log of predicted over measured, shape (2, n) [-].
    spread : numpy.ndarray
        Deviation of the log of each prediction over what its row leaves open [-].

    Returns
    -------
    numpy.ndarray
        Lower and upper log, shape (2, n) [-].

    Examples
    --------
    >>> widened(np.array([[-0.3], [0.3]]), np.array([0.4 / 1.2816])).round(3).tolist()
    [[-0.5], [0.5]]
    """
    from scipy import special

    return np.sign(ends) * np.hypot(ends, special.ndtri(0.9) * spread)


def coverage(log_error: np.ndarray, band: np.ndarray, group: np.ndarray) -> float:
    """Share of rows inside their band, groups weighted equally; rows without a band do not count.

    Parameters
    ----------
    log_error : numpy.ndarray
        Log of predicted over measured [-].
    band : numpy.ndarray
        Lower and upper log error of each row, shape (2, n) [-].
    group : numpy.ndarray
        Group of each row [-].

    Returns
    -------
    float
        Share [-].
    """
    inside = np.where(
        np.isnan(band).any(axis=0), np.nan, (band[0] <= log_error) & (log_error <= band[1])
    )
    return float(pd.Series(inside).groupby(np.asarray(group)).mean().mean())


def interval_score(
    log_error: np.ndarray, band: np.ndarray, group: np.ndarray, level: float = LEVEL
) -> float:
    """Mean interval score: width plus 2/(1 - level) times the miss; smaller is better.

    Parameters
    ----------
    log_error : numpy.ndarray
        Log of predicted over measured [-].
    band : numpy.ndarray
        Lower and upper log error of each row, shape (2, n) [-].
    group : numpy.ndarray
        Group of each row; groups count equally [-].
    level : float
        Share that the band should hold [-].

    Returns
    -------
    float
        Score in log units [-].

    References
    ----------
    Gneiting and Raftery 2007, Strictly proper scoring rules, prediction, and estimation,
    section 6.2.
    """
    low, high = band
    miss = np.maximum(low - log_error, 0) + np.maximum(log_error - high, 0)
    score = high - low + 2 / (1 - level) * miss
    return float(pd.Series(score).groupby(np.asarray(group)).mean().mean())


def residuals(rows: pd.DataFrame, error: np.ndarray, fold: str, unseen: np.ndarray) -> Residuals:
    """Left-out errors with the labels of their rows.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a problem [-].
    error : numpy.ndarray
        Log of predicted over measured with each label of the column `fold` left out [-].
    fold : str
        Column of the rows [-].
    unseen : numpy.ndarray
        The same with each generation left out [-].

    Returns
    -------
    Residuals
        For `Residuals.band` [-].
    """
    names = (fold, "generation", "group", "band", "metric")
    left, generation, group, family, metric = (rows[c].to_numpy(str) for c in names)
    found = Residuals(error, left, unseen, generation, group, family, metric)
    if "stack" not in rows:
        return found
    values = {f.name: getattr(found, f.name) for f in fields(found)}
    return StackResiduals(**values, source=rows["source"].to_numpy(str))
