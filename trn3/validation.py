"""Validation: predictions held against what others measured, with bands and the baselines anyone could use.

Errors are logarithms of predicted over measured. Every score weights (source, model, chip) groups equally.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

LEVEL = 0.8


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


def _quantiles(error: np.ndarray, group: np.ndarray, level: float) -> np.ndarray:
    from trn3 import calibration

    w = calibration.group_weights(group) if len(error) else error
    return np.array([weighted_quantile(error, q, w) for q in ((1 - level) / 2, (1 + level) / 2)])


def family_band(
    log_error: np.ndarray, group: np.ndarray, family: np.ndarray, which: str, level: float = LEVEL
) -> np.ndarray:
    """Band of a prediction for one family: mean of the family's and the pooled quantiles of left-out residuals.

    Parameters
    ----------
    log_error : numpy.ndarray
        Left-out log of predicted over measured [-].
    group, family : numpy.ndarray
        Group and family of each row [-].
    which : str
        Family; one without rows gets the pooled band [-].
    level : float
        Share that the band should hold [-].

    Returns
    -------
    numpy.ndarray
        Lower and upper log error; measured lies in predicted / exp(upper .. lower) [-].
    """
    pooled = _quantiles(log_error, group, level)
    mine = family == which
    if not mine.any():
        return pooled
    return (pooled + _quantiles(log_error[mine], group[mine], level)) / 2


def bands(
    log_error: np.ndarray, group: np.ndarray, family: np.ndarray, fold: np.ndarray, level: float = LEVEL
) -> np.ndarray:
    """Band of every row, from the left-out residuals of the other folds alone.

    Parameters
    ----------
    log_error : numpy.ndarray
        Left-out log of predicted over measured [-].
    group, family, fold : numpy.ndarray
        Group, family and fold (such as the source) of each row [-].
    level : float
        Share that the band should hold [-].

    Returns
    -------
    numpy.ndarray
        Shape (2, n): lower and upper log error [-].
    """
    out = np.empty((2, len(log_error)))
    for label in np.unique(fold):
        rest = fold != label
        for name in np.unique(family[~rest]):
            which = ~rest & (family == name)
            out[:, which] = family_band(log_error[rest], group[rest], family[rest], name, level)[:, None]
    return out


def coverage(log_error: np.ndarray, band: np.ndarray, group: np.ndarray) -> float:
    """Share of rows inside their band, groups weighted equally.

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
    inside = (band[0] <= log_error) & (log_error <= band[1])
    return float(pd.Series(inside.astype(float)).groupby(np.asarray(group)).mean().mean())


def interval_score(log_error: np.ndarray, band: np.ndarray, group: np.ndarray, level: float = LEVEL) -> float:
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
    Gneiting and Raftery 2007, Strictly proper scoring rules, prediction, and estimation, section 6.2.
    """
    low, high = band
    miss = np.maximum(low - log_error, 0) + np.maximum(log_error - high, 0)
    score = high - low + 2 / (1 - level) * miss
    return float(pd.Series(score).groupby(np.asarray(group)).mean().mean())


def baseline_errors(
    measured_over_reference: np.ndarray, key: Sequence[str], group: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """Log errors of "reference times one constant per key", each constant the median of the other folds.

    Parameters
    ----------
    measured_over_reference : numpy.ndarray
        Measured quantity over a reference, such as the time at peak [-].
    key : sequence of str
        What has a constant of its own, such as the chip; unseen keys take the pooled one [-].
    group, fold : numpy.ndarray
        Group and fold of each row [-].

    Returns
    -------
    numpy.ndarray
        Log of predicted over measured [-].
    """
    from trn3 import calibration

    x, key = np.log(measured_over_reference), np.asarray(key)
    out = np.empty(len(x))
    for label in np.unique(fold):
        rest = fold != label
        for k in np.unique(key[~rest]):
            mine = rest & (key == k) if (rest & (key == k)).any() else rest
            constant = weighted_quantile(x[mine], 0.5, calibration.group_weights(group[mine]))
            which = ~rest & (key == k)
            out[which] = constant - x[which]
    return out
