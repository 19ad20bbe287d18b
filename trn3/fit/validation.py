"""Validation: predictions held against what others measured, with bands and the baselines anyone
could use.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trn3 import committed, data, hardware
from trn3.fit import calibration, serving_fit, training_fit
from trn3.fit.scores import coverage, group_score, interval_score, residuals, weighted_quantile


def baseline_errors(
    measured_over_reference: np.ndarray, key: Sequence[str], group: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """Log errors of "reference times one constant per key", each constant the median of the other
    folds.

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

    x, keys = np.log(measured_over_reference), np.asarray(key)
    out = np.empty(len(x))
    for label in np.unique(fold):
        rest = fold != label
        for k in np.unique(keys[~rest]):
            mine = rest & (keys == k) if (rest & (keys == k)).any() else rest
            constant = weighted_quantile(x[mine], 0.5, calibration.group_weights(group[mine]))
            which = ~rest & (keys == k)
            out[which] = constant - x[which]
    return out


def _fitter(kind: str) -> Any:

    kinds = {"training": training_fit, "inference": serving_fit, "serving": serving_fit}
    if kind not in kinds:
        raise data.TrnError(f"kind = {kind!r}: must be one of {', '.join(kinds)}")
    return kinds[kind]


def _committed(problem: Any) -> np.ndarray:
    """Log errors with the committed constants."""

    kind, chips = problem.kind, problem.rows["chip"]
    family = {c: hardware.chip(c).family for c in set(chips)}
    values = {
        n: chips.map({c: committed.constant(kind, n, c, f) for c, f in family.items()}).to_numpy(
            float
        )
        for n in dict.fromkeys(problem.tree.name)
    }
    return np.log(problem.predict(values) / problem.rows["measured"].to_numpy(float))


def _scores(log_error: np.ndarray, band: np.ndarray, group: np.ndarray) -> dict[str, Any]:
    """Summary of errors; shares from 0 to 1."""
    by, error = group_score(log_error, group), np.expm1(log_error)
    median = by["median_abs_error"]
    return {
        "n": len(error),
        "n_groups": len(by),
        "group_median_abs_error": float(median.median()),
        "group_p90_abs_error": float(median.quantile(0.9)),
        "mape": float(np.abs(error).mean()),
        "bias": float(by["bias"].median()),
        "worst": float(np.abs(error).max()),
        "band_coverage": coverage(log_error, band, group),
        "interval_score": interval_score(log_error, band, group),
    }


def _lines(fitter: Any, problem: Any, fold: np.ndarray) -> dict[str, np.ndarray]:
    """Log errors of the model and of the baselines with each fold left out."""

    return {"model": calibration.left_out(problem, fold), **_baselines(fitter, problem, fold)}


def _baselines(fitter: Any, problem: Any, fold: np.ndarray) -> dict[str, np.ndarray]:
    """Log errors of the two predictions anyone could make: a reference, and the reference times
    one constant.
    """
    rows = problem.rows
    reference, measured = fitter.reference(problem), rows["measured"].to_numpy(float)
    key = (
        fitter.baseline_key(rows)
        if hasattr(fitter, "baseline_key")
        else rows["chip"] + rows["quantity"]
    )
    plain, tuned = getattr(fitter, "BASELINES", ("roofline", "roofline x constant per chip"))
    x, keys, group = measured / reference, np.asarray(key, str), rows["group"].to_numpy(str)
    constant, metric = np.empty(len(x)), rows["metric"].to_numpy(str)
    for k in (metric == m for m in np.unique(metric)):
        constant[k] = baseline_errors(x[k], keys[k], group[k], fold[k])
    return {plain: np.log(reference / measured), tuned: constant}


def _tables(fitter: Any, problem: Any, error: np.ndarray) -> dict[str, dict[str, Any]]:
    """Published tables, scored with every row of their authors left out, and as the folds score
    them.
    """

    out = {}
    weights = calibration.group_weights(problem.rows["group"].to_numpy(str))
    for name, (mask, left, others) in (
        fitter.tables(problem).items() if hasattr(fitter, "tables") else ()
    ):
        if mask.any():
            fit = calibration.fit(problem, np.where(left, 0.0, weights), tolerance=1e-6)
            out[name] = fit.log_errors[mask]
            out |= {
                f"{name}, {other}": p.log_errors(fit.theta)[mask] for other, p in others.items()
            }
            out[f"{name}, as the folds score it"] = error[mask]
    return {
        n: {
            "n": len(e),
            "mape": float(np.abs(np.expm1(e)).mean()),
            "worst": float(np.abs(np.expm1(e)).max()),
        }
        for n, e in out.items()
    }


def validate(
    kind: str,
    file: str | Path | None = None,
    folds: str = "source",
    corrections: int = 1,
    beside: bool = True,
) -> dict[str, Any]:
    """Score predictions against published runs, beside the baselines on the same rows and folds.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    file : str or Path, optional
        Rows in the evidence schema, scored with the committed constants; the committed rows where
        None [-].
    folds : str
        ``source``, ``publisher``, ``generation``, ``model`` left out in turn, or ``none`` [-].
    corrections : int
        Class of corrections up to which rows are mended: 0, 1 or 2 [-].
    beside : bool
        Score the committed rows with the other classes of corrections, too [-].

    Returns
    -------
    dict
        Scores (shares 0 to 1), ready for JSON [-].

    Raises
    ------
    trn3.data.TrnError
        Unknown kind or folds, a file that cannot be read, or no row that can be scored.
    """
    choices = ("none", "source", "publisher", "generation", "model")
    if folds not in choices:
        raise data.TrnError(f"folds = {folds!r}: must be one of {', '.join(choices)}")
    fitter = _fitter(kind)
    problem = fitter.problem(file, corrections)
    rows = problem.rows
    if not len(rows):
        why = "; ".join(sorted(set(problem.skipped.values())))
        raise data.TrnError(f"no row can be scored: {why or 'the file is empty'}")
    group, slices = rows["group"].to_numpy(str), fitter.slices(rows)
    if folds == "none":
        lines = {
            "model": _committed(problem),
            **_baselines(fitter, problem, rows["row_id"].to_numpy(str)),
        }
        band = dict.fromkeys(lines, np.full((2, len(rows)), np.nan)) | {
            "model": fitter.committed_bands(rows)
        }
    else:
        unseen = _lines(fitter, problem, rows["generation"].to_numpy(str))
        lines = (
            unseen if folds == "generation" else _lines(fitter, problem, rows[folds].to_numpy(str))
        )
        band = {n: residuals(rows, e, folds, unseen[n]).held_out() for n, e in lines.items()}
    error = lines["model"]

    def table(which: np.ndarray, line: str = "model") -> dict[str, Any]:
        return _scores(lines[line][which], band[line][:, which], group[which])

    everything, n = np.ones(len(rows), bool), int(rows["row_id"].nunique())
    result: dict[str, Any] = {"kind": kind, "folds": folds, "corrections": corrections}
    result |= {"rows": n + len(problem.skipped), "scored": n}
    result |= {"skipped": pd.Series(problem.skipped).value_counts().to_dict()}
    result |= table(everything)
    result["baselines"] = {
        n: table(everything, n) | {"by": {s: table(m, n) for s, m in slices.items() if m.any()}}
        for n in lines
        if n != "model"
    }
    result["by"] = {
        k: {str(v): table((rows[k] == v).to_numpy()) for v in sorted(rows[k].unique())}
        for k in ("quantity", "family", "chip", "source", "generation")
    }
    result["tables"] = {s: table(m) for s, m in slices.items() if m.any()}
    result["tables"] |= _tables(fitter, problem, error) if file is None else {}
    result["groups"] = group_score(error, group).to_dict("records")
    predicted = np.exp(error) * rows["measured"].to_numpy(float)
    runs = rows[["row_id", "quantity", "group", "chip", "source", "measured"]].assign(
        predicted=predicted
    )
    low, high = predicted / np.exp(band["model"][::-1])
    result["runs"] = runs.assign(low=low, high=high).to_dict("records")
    others = (
        [c for c in (0, 2) if c != corrections]
        if beside and file is None and folds == "source"
        else []
    )
    kept = ("scored", "group_median_abs_error", "group_p90_abs_error", "bias", "worst")
    result["other_corrections"] = {
        str(c): {k: v for k, v in validate(kind, None, folds, c, False).items() if k in kept}
        for c in others
    }
    return dict(_plain(result))


def _show(value: float | None, width: int, digits: int = 1, times: float = 100) -> str:
    return f"{'-':>{width}}" if value is None else f"{times * value:{width}.{digits}f}"


def _plain(value: Any) -> Any:
    """The same without NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def text(result: dict[str, Any]) -> str:
    """A result of `validate` as a table for the terminal.

    Parameters
    ----------
    result : dict
        From `validate` [-].

    Returns
    -------
    str
        Lines [-].
    """
    head = f"{result['kind']}: {result['scored']} of {result['rows']} rows scored, left out by {result['folds']}, "
    out = [head + f"corrections up to class {result['corrections']}", ""]
    out += [
        "%: median over groups of median absolute error; 90th percentile of groups; bias; 80 % band holds; score"
    ]
    names, beaten = list(result["baselines"]), []
    rows = {"everything": result} | {
        n: t for n, t in result["tables"].items() if "band_coverage" in t
    }
    width = max(map(len, rows)) + 2
    head = f"{'':{width}}{'groups':>6}{'model':>7}{'p90':>6}{'bias':>7}{'band':>6}{'score':>7}"
    out += [head + "".join(f"{n:>{len(n) + 2}}{'score':>7}" for n in names)]
    for name, row in rows.items():
        base = {n: result["baselines"][n]["by"].get(name, result["baselines"][n]) for n in names}
        cells = "".join(
            f"{_show(b['group_median_abs_error'], len(n) + 2)}{_show(b['interval_score'], 7, 2, 1)}"
            for n, b in base.items()
        )
        beaten += [
            f"{n} ({name})"
            for n, b in base.items()
            if (theirs := b["group_median_abs_error"]) is not None
            and theirs < row["group_median_abs_error"]
        ]
        own = (
            (row["group_median_abs_error"], 7),
            (row["group_p90_abs_error"], 6),
            (row["bias"], 7),
        )
        own_text = "".join(_show(x, w) for x, w in own) + _show(row["band_coverage"], 6, 0)
        out.append(
            f"{name:{width}}{row['n_groups']:6d}{own_text}{_show(row['interval_score'], 7, 2, 1)}{cells}"
        )
    out += [f"closer than the model: {', '.join(beaten)}"] if beaten else []
    for name, row in result["tables"].items():
        if "band_coverage" not in row:
            out.append(
                f"{name}: {row['n']} rows, MAPE {100 * row['mape']:.1f} %, worst {100 * row['worst']:.1f} %"
            )
    for c, row in result["other_corrections"].items():
        score = f"{100 * row['group_median_abs_error']:.1f} %, bias {100 * row['bias']:+.1f} %, {row['scored']} rows"
        out.append(f"with corrections up to class {c}: {score}")
    out += ["", *(f"skipped {n:4d}: {why}" for why, n in result["skipped"].items())]
    return "\n".join(out)
