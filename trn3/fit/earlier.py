"""What the rules of version 0.1 miss on the rows and folds of today.

``data/rules_0_1.csv`` keeps, row by row, what those rules predict when they are refitted to the
rows of today with the same labels left out. The code of 0.1 wrote it once; it cannot be made again
here. `beside` scores today's predictions on the same rows.
"""

from typing import Any

import numpy as np
import pandas as pd

from trn3.fit import evidence
from trn3.fit.scores import bootstrap, coverage, interval_score

KEPT = ("group_median_factor", "band_coverage", "interval_score")
"""Scores that are compared."""
_RANGES = {"group_median_factor": "factor", "band_coverage": "coverage"}
_OF_ONE = [*KEPT, *(f"{short}_{end}" for short in _RANGES.values() for end in ("low", "high"))]
COLUMNS = ["kind", "fold", "part", "n", "n_groups"]
COLUMNS += [f"{when}_{name}" for when in ("now", "before") for name in _OF_ONE]
"""Columns of ``data/rules_0_1_scores.csv``."""


def runs(kind: str, fold: str) -> pd.DataFrame:
    """Predictions of the rules of 0.1.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    fold : str
        What was left out [-].

    Returns
    -------
    pandas.DataFrame
        ``row_id, quantity, predicted, low, high``, none where nothing is kept [s], [1/s].
    """
    rows = evidence.text_table("rules_0_1")
    rows = rows[(rows["kind"] == kind) & (rows["fold"] == fold)]
    return rows.astype(dict.fromkeys(("predicted", "low", "high"), float)).drop(
        columns=["kind", "fold"]
    )


def beside(
    kind: str, fold: str, rows: pd.DataFrame, error: np.ndarray, band: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors and bands of 0.1 on the rows of a fold.

    Parameters
    ----------
    kind, fold : str
        As in `runs` [-].
    rows : pandas.DataFrame
        Rows of today's predictions, with row_id, quantity and measured [-].
    error, band : numpy.ndarray
        Today's errors, log of predicted over measured, and their bands [-].

    Returns
    -------
    tuple of numpy.ndarray
        Mask of the rows that both predict, and error and band of 0.1 on all rows, nan where it
        has none [-].
    """
    then = rows[["row_id", "quantity"]].merge(
        runs(kind, fold), on=["row_id", "quantity"], how="left", validate="m:1"
    )
    measured = rows["measured"].to_numpy(float)
    predicted, low, high = (then[c].to_numpy(float) for c in ("predicted", "low", "high"))
    before = np.log(predicted / measured)
    ends = np.log(predicted / np.array([high, low]))
    both = np.isfinite(before) & np.isfinite(error) & np.isfinite(band).all(axis=0)
    return both, before, ends


def score(error: np.ndarray, band: np.ndarray, group: np.ndarray) -> dict[str, Any]:
    """The scores that are compared, with their bootstrap ranges.

    Parameters
    ----------
    error : numpy.ndarray
        Log of predicted over measured [-].
    band : numpy.ndarray
        Lower and upper log error, shape (2, n) [-].
    group : numpy.ndarray
        Group of each row [-].

    Returns
    -------
    dict
        `KEPT`, and the ranges in ``interval`` [-].
    """
    misses = pd.Series(np.abs(error)).groupby(group).median()
    return {
        "group_median_factor": float(np.exp(misses.median())),
        "band_coverage": coverage(error, band, group),
        "interval_score": interval_score(error, band, group),
        "interval": bootstrap(error, band, group),
    }


def compare(
    kind: str,
    fold: str,
    rows: pd.DataFrame,
    error: np.ndarray,
    band: np.ndarray,
    parts: dict[str, np.ndarray],
) -> dict[str, dict[str, Any]]:
    """Scores of today and of 0.1 on the rows that both predict.

    Parameters
    ----------
    kind, fold : str
        As in `runs` [-].
    rows : pandas.DataFrame
        Rows of today's predictions [-].
    error, band : numpy.ndarray
        Of today [-].
    parts : dict
        Mask by name [-].

    Returns
    -------
    dict
        By part: ``n``, ``n_groups``, and the scores ``now`` and ``before`` [-].
    """
    both, then, ends = beside(kind, fold, rows, error, band)
    group = rows["group"].to_numpy(str)
    out = {}
    for name, mask in parts.items():
        mine = mask & both
        if mine.any():
            out[name] = {
                "n": int(mine.sum()),
                "n_groups": len(set(group[mine])),
                "now": score(error[mine], band[:, mine], group[mine]),
                "before": score(then[mine], ends[:, mine], group[mine]),
            }
    return out


def table(results: dict[str, dict[str, Any]], kind: str) -> pd.DataFrame:
    """Comparisons by fold as a table.

    Parameters
    ----------
    results : dict
        From `compare`, by fold [-].
    kind : str
        ``training`` or ``inference`` [-].

    Returns
    -------
    pandas.DataFrame
        Rows of ``data/rules_0_1_scores.csv`` as text [-].
    """
    lines = []
    for fold, parts in results.items():
        for part, scores in parts.items():
            counts = {"n": f"{scores['n']}", "n_groups": f"{scores['n_groups']}"}
            lines.append({"kind": kind, "fold": fold, "part": part} | counts | _cells(scores))
    return pd.DataFrame(lines, columns=COLUMNS)


def _cells(scores: dict[str, Any]) -> dict[str, str]:
    cells = {}
    for when in ("now", "before"):
        mine = scores[when]
        for name in KEPT:
            cells[f"{when}_{name}"] = f"{mine[name]:.4f}"
        for name, short in _RANGES.items():
            low, high = mine["interval"][name]
            cells |= {f"{when}_{short}_low": f"{low:.4f}", f"{when}_{short}_high": f"{high:.4f}"}
    return cells
