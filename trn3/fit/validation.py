"""Validation: predictions held against what others measured, with bands and the baselines anyone
could use.
"""

import dataclasses
import functools
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trn3 import data
from trn3.fit import calibration, earlier, prospective, run_files, serving_fit, training_fit
from trn3.fit.run_files import UNUSED, RunFile
from trn3.fit.scores import (
    bootstrap,
    coverage,
    group_score,
    interval_score,
    residuals,
    weighted_quantile,
    widened,
)

REFITTED = ("source", "publisher", "harness", "generation", "model")
"""Folds that leave out one label in turn and fit the rest."""
FOLDS = ("none", *REFITTED, "origin", "prospective", "pool")
HEADLINE = {"training": "publisher", "inference": "harness"}
"""Whose runs are left out together where a page speaks of the error."""
FIRST_PUBLISHERS = 3
"""Publishers that must have spoken before the rolling origin starts."""
THOUSAND = 0.4
"""Decades by which a ratio of measured to predicted may miss 1,000 and be a slip of the unit."""


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


@dataclasses.dataclass(frozen=True)
class Lines:
    """Predictions of the same rows by the model and by the baselines.

    Attributes
    ----------
    rows : pandas.DataFrame
        What was scored, one line a row and quantity [-].
    error : mapping
        Log of predicted over measured by line; the first is ``model`` [-].
    band : mapping
        Lower and upper log error by line, shape (2, n) [-].
    skipped : mapping
        Number of rows that were not scored, by reason [-].
    """

    rows: pd.DataFrame
    error: Mapping[str, np.ndarray]
    band: Mapping[str, np.ndarray]
    skipped: Mapping[str, int]

    def scores(self, which: np.ndarray, line: str = "model") -> dict[str, Any]:
        """Summary of some rows.

        Parameters
        ----------
        which : numpy.ndarray
            Mask over the rows [-].
        line : str
            Whose predictions [-].

        Returns
        -------
        dict
            Shares from 0 to 1, factors from 1 [-].
        """
        rows, error = self.rows[which], self.error[line][which]
        band, group = self.band[line][:, which], rows["group"].to_numpy(str)
        by, miss = group_score(error, group), np.expm1(error)
        median = by["median_abs_error"]
        factor = pd.Series(np.abs(error)).groupby(group).median()
        return {
            "n": len(error),
            "n_groups": len(by),
            "n_publishers": int(rows["publisher"].nunique()),
            "n_models": int(rows["model"].nunique()),
            "group_median_factor": float(np.exp(factor.median())),
            **self._votes(which, line),
            "interval": bootstrap(error, band, group),
            "group_median_abs_error": float(median.median()),
            "group_p90_abs_error": float(median.quantile(0.9)),
            "mape": float(np.abs(miss).mean()),
            "bias": float(by["bias"].median()),
            "worst": float(np.abs(miss).max()),
            "band_coverage": coverage(error, band, group),
            "interval_score": interval_score(error, band, group),
        }

    def _votes(self, which: np.ndarray, line: str) -> dict[str, Any]:
        """The median where every source has one vote in every family."""
        rows, miss = self.rows[which], np.abs(self.error[line][which])
        by = pd.Series(miss, rows.index).groupby([rows["source"], rows["family"], rows["group"]])
        votes = by.median().groupby(level=[0, 1]).median()
        return {"n_votes": len(votes), "vote_median_factor": float(np.exp(votes.median()))}


def _counts(skipped: Mapping[str, str]) -> dict[str, int]:
    return {str(k): int(v) for k, v in pd.Series(skipped, dtype=str).value_counts().items()}


def _key(fitter: Any, rows: pd.DataFrame) -> np.ndarray:
    """What has a constant of its own in the second baseline."""
    key = getattr(fitter, "baseline_key", lambda r: r["chip"] + r["quantity"])
    return np.asarray(key(rows), str)


def _names(fitter: Any) -> tuple[str, str]:
    return getattr(fitter, "BASELINES", ("roofline", "roofline x constant per chip"))


@dataclasses.dataclass(frozen=True)
class Against:
    """Rows held against a reference that anyone could take, as arrays.

    Attributes
    ----------
    measured, reference : numpy.ndarray
        Measured quantity and its reference [SI].
    key, group, metric : numpy.ndarray
        What has a constant of its own; group; metric, whose rows tell another nothing [-].
    """

    measured: np.ndarray
    reference: np.ndarray
    key: np.ndarray
    group: np.ndarray
    metric: np.ndarray

    def __add__(self, other: "Against") -> "Against":
        """The rows of both, one after the other."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other))
        return Against(*(np.concatenate(pair) for pair in pairs))


def _against(fitter: Any, problem: Any) -> Against:
    """The rows of a problem and their reference."""
    rows = problem.rows
    measured, texts = rows["measured"].to_numpy(float), (rows["group"], rows["metric"])
    group, metric = (column.to_numpy(str) for column in texts)
    return Against(measured, fitter.reference(problem), _key(fitter, rows), group, metric)


def _baselines(fitter: Any, rows: Against, fold: np.ndarray) -> dict[str, np.ndarray]:
    """Log errors of the two predictions anyone could make: a reference, and the reference times
    one constant from the other folds.
    """
    plain, tuned = _names(fitter)
    x = rows.measured / rows.reference
    constant = np.empty(len(x))
    for k in (rows.metric == m for m in np.unique(rows.metric)):
        constant[k] = baseline_errors(x[k], rows.key[k], rows.group[k], fold[k])
    return {plain: -np.log(x), tuned: constant}


@functools.lru_cache(4)
def _committed(fitter: Any, _folder: Path) -> tuple[Any, Against]:
    """The problem of the committed rows, and these held against their reference."""
    known = fitter.problem()
    return known, _against(fitter, known)


def _committed_baselines(
    fitter: Any, rows: pd.DataFrame, without: Container[str] = ()
) -> dict[str, np.ndarray]:
    """The same for rows that are not among the fitted ones: constants from those, some left out."""
    problem, known = _committed(fitter, data.DATA)
    kept = np.array([i not in without for i in problem.rows["row_id"]])
    known = Against(*(each[kept] for each in dataclasses.astuple(known)))
    mine = _against(fitter, dataclasses.replace(problem, rows=rows))
    fold = np.repeat(["committed", "mine"], [len(known.measured), len(mine.measured)])
    return {n: e[fold == "mine"] for n, e in _baselines(fitter, known + mine, fold).items()}


def refitted(fitter: Any, problem: Any, fold: str) -> dict[str, np.ndarray]:
    """Log errors of the model and of the baselines, each refitted with every label left out.

    Parameters
    ----------
    fitter : module
        `training_fit` or `serving_fit` [-].
    problem : trn3.fit.calibration.Problem
        Rows [-].
    fold : str
        Column of the rows whose labels are left out in turn [-].

    Returns
    -------
    dict
        Log of predicted over measured by line [-].
    """
    labels = problem.rows[fold].to_numpy(str)
    out = {"model": calibration.left_out(problem, labels)}
    return out | _baselines(fitter, _against(fitter, problem), labels)


def _left_out(
    fitter: Any, problem: Any, folds: str, unseen: Mapping[str, np.ndarray] | None
) -> Lines:
    """Refitted lines with bands; `unseen` are those with generations left out."""
    rows = problem.rows
    unseen = unseen or refitted(fitter, problem, "generation")
    error = unseen if folds == "generation" else refitted(fitter, problem, folds)
    band = {n: residuals(rows, e, folds, unseen[n]).held_out() for n, e in error.items()}
    band["model"] = widened(band["model"], fitter.open_spread(rows))
    return Lines(rows, error, band, _counts(problem.skipped))


def _as_committed(fitter: Any, problem: Any, own: bool) -> Lines:
    """The committed constants; baselines from the committed rows, without the row itself."""
    rows = problem.rows
    if own:
        other = _baselines(fitter, _against(fitter, problem), rows["row_id"].to_numpy(str))
    else:
        other = _committed_baselines(fitter, rows)
    error = {"model": calibration.committed_errors(problem), **other}
    band = dict.fromkeys(error, np.full((2, len(rows)), np.nan))
    band |= {"model": fitter.committed_bands(rows)}
    return Lines(rows, error, band, _counts(problem.skipped))


def _stored(fitter: Any, kind: str) -> Lines:
    """What was predicted before the rows were fitted, as it was stored."""
    rows = prospective.scored(kind, fitter)
    model, ends = prospective.log_errors(rows)
    # what anyone could predict then: no constant from the rows themselves
    error = {"model": model, **_committed_baselines(fitter, rows, set(rows["row_id"]))}
    band = dict.fromkeys(error, np.full((2, len(rows)), np.nan)) | {"model": ends}
    return Lines(rows, error, band, prospective.reasons(kind))


def _rolling(fitter: Any, problem: Any) -> Lines:
    """Constants and bands from what was published before a half-year, scored on that half-year."""
    dated, who = (problem.rows[c].to_numpy() for c in ("dated", "publisher"))
    group, metric = (problem.rows[c].to_numpy(str) for c in ("group", "metric"))
    half = np.floor(2 * dated) / 2
    error, band = np.full(len(half), np.nan), np.full((2, len(half)), np.nan)
    reference = fitter.reference(problem)
    x, keys = problem.rows["measured"].to_numpy(float) / reference, _key(fitter, problem.rows)
    constant, theta = np.full(len(half), np.nan), None
    for start in np.unique(half[~np.isnan(half)]):
        known, now = half < start, half == start
        if len(set(who[known])) < FIRST_PUBLISHERS:
            continue
        weights = np.where(known, calibration.group_weights(group), 0.0)
        full = calibration.fit(problem, weights, theta)
        theta = full.theta
        error[now] = full.log_errors[now]
        band[:, now] = _bands_then(problem, full, known, now)
        fold = np.where(known, "before", "after")
        for k in (metric == m for m in np.unique(metric[now])):
            mine, these = k & (known | now), k & now
            if (k & known).any():
                found = baseline_errors(x[mine], keys[mine], group[mine], fold[mine])
                constant[these] = found[now[mine]]
    scored = ~np.isnan(error)
    rows = problem.rows[scored].reset_index(drop=True)
    late = problem.rows.loc[~scored, "row_id"].unique()
    told = dict.fromkeys(problem.rows.loc[np.isnan(dated), "row_id"], "no date")
    skipped = {i: told.get(i, "before the first origin") for i in late}
    plain, tuned = _names(fitter)
    errors = {"model": error, plain: -np.log(x), tuned: constant}
    empty = np.full((2, len(rows)), np.nan)
    bands = dict.fromkeys(errors, empty) | {"model": band[:, scored]}
    skipped = {**problem.skipped, **skipped}
    return Lines(rows, {n: e[scored] for n, e in errors.items()}, bands, _counts(skipped))


def _bands_then(problem: Any, full: Any, known: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Band of the rows of a half-year, from the misses on left-out sources before it."""
    rows = problem.rows
    error, unseen = (
        calibration.left_out(problem, rows[fold], full, known) for fold in ("source", "generation")
    )
    before = residuals(rows[known], error[known], "source", unseen[known])
    pairs = list(zip(rows.loc[now, "band"], rows.loc[now, "metric"]))
    ends = {
        pair: before.band(*pair) if pair[1] in before.metric else np.full(2, np.nan)
        for pair in set(pairs)
    }
    return np.array([ends[pair] for pair in pairs]).T


def _own(
    fitter: Any, kind: str, file: str | Path, given: Mapping[str, str] | None
) -> tuple[RunFile, calibration.Problem]:
    """A reader's file, and the rows of it that can be scored; the others have their reason."""
    run = run_files.read(kind, file, given)
    problem = fitter.problem(run)
    if len(problem.rows):
        error = calibration.committed_errors(problem)
        lost = set(problem.rows["row_id"][~np.isfinite(error)])
        why = "no prediction: the layout cannot hold or run the model"
        unused = run.rows[UNUSED].mask(run.rows["row_id"].isin(lost), why)
        run = dataclasses.replace(run, rows=run.rows.assign(**{UNUSED: unused}))
        problem = fitter.problem(run) if lost else problem
    known = set(problem.rows["row_id"]) | set(problem.skipped)
    silent = dict.fromkeys(run.rows["row_id"], "nothing that its mode predicts was measured")
    silent = {i: why for i, why in silent.items() if i not in known}
    problem = dataclasses.replace(problem, skipped=dict(problem.skipped) | silent)
    if not len(problem.rows):
        first = _unused(run, problem)[0]
        more = f" ({len(run.rows) - 1} more rows)" if len(run.rows) > 1 else ""
        raise data.TrnError(
            f"{run.name}: no row can be scored: {_place(first)}: {first['reason']}{more}; "
            f"template: {run_files.template(kind)}"
        )
    return run, problem


def _unused(run: RunFile, problem: calibration.Problem) -> list[dict[str, Any]]:
    """The rows of a file that were not scored, with line and reason."""
    line = dict(zip(run.rows["row_id"], run.rows["line"]))
    return [
        {"line": int(line[i]), "row_id": i, "reason": problem.skipped[i]}
        for i in run.rows["row_id"]
        if i in problem.skipped
    ]


def _place(row: Mapping[str, Any]) -> str:
    """Where a row stands, and what its file calls it."""
    line = f"row {row['line']}"
    return line if row["row_id"] == line else f"{line} ({row['row_id']})"


def _about(run: RunFile, problem: calibration.Problem, runs: pd.DataFrame) -> dict[str, Any]:
    """How a file was read: its form, what was not used, what empty cells stand for, and times that
    are off by about a thousand.
    """
    ratio = runs["measured"] / runs["predicted"]
    odd = runs[(np.abs(np.abs(np.log10(ratio)) - 3) < THOUSAND)]
    return {
        "file": run.name,
        "form": run.title,
        "not_used": _unused(run, problem),
        "taken": list(run.taken),
        "ignored": list(run.ignored),
        "unit_in_doubt": odd["row_id"].tolist(),
    }


def validate(
    kind: str,
    file: str | Path | None = None,
    folds: str = "source",
    corrections: int = 1,
    beside: bool = True,
    given: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Score predictions against published runs, beside the baselines on the same rows and folds.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    file : str or Path, optional
        A file of runs, see `run_files.read`, scored with the committed constants; the committed
        rows where None [-].
    folds : str
        ``source``, ``publisher``, ``harness`` (serving), ``generation``, ``model`` left out in
        turn; ``origin``: each half-year predicted from the runs before it; ``none``; or rows that
        the fit has not seen: ``prospective`` (stored before any refit) and ``pool`` (there all
        along, unused) [-].
    corrections : int
        Class of corrections up to which rows are mended: 0, 1 or 2 [-].
    beside : bool
        Score the committed rows with the other classes of corrections, too [-].
    given : mapping, optional
        Cells for all rows of a file that has none, by column [-].

    Returns
    -------
    dict
        Scores (shares 0 to 1), ready for JSON [-].

    Raises
    ------
    trn3.data.TrnError
        Unknown kind or folds, a file that cannot be read, or no row that can be scored.
    """
    if folds not in FOLDS:
        raise data.TrnError(f"folds = {folds!r}: must be one of {', '.join(FOLDS)}")
    fitter = _fitter(kind)
    if folds == "harness" and fitter is training_fit:
        raise data.TrnError("folds = 'harness': training runs have none; take publisher")
    if file is not None:
        if folds != "none":
            raise data.TrnError(
                f"folds = {folds!r}: a file is scored with the committed constants; leave it out"
            )
        run, problem = _own(fitter, kind, file, given)
        result = report(kind, folds, corrections, lines_of(fitter, problem, folds, False))
        return dict(_plain(result | _about(run, problem, pd.DataFrame(result["runs"]))))
    if folds == "prospective":
        return report(kind, folds, corrections, _stored(fitter, _family(kind)))
    problem = fitter.problem(None, corrections, "pool" if folds == "pool" else "fitted")
    tables = problem if folds in ("none", *REFITTED) else None
    result = report(kind, folds, corrections, lines_of(fitter, problem, folds), tables)
    others = [c for c in (0, 2) if c != corrections] if beside and folds == "source" else []
    kept = ("scored", "group_median_abs_error", "group_p90_abs_error", "bias", "worst")
    result["other_corrections"] = {
        str(c): {k: v for k, v in validate(kind, None, folds, c, False).items() if k in kept}
        for c in others
    }
    return result


def _family(kind: str) -> str:
    """Kind of the run tables."""
    return "training" if kind == "training" else "serving"


def lines_of(
    fitter: Any,
    problem: Any,
    folds: str,
    own: bool = True,
    unseen: Mapping[str, np.ndarray] | None = None,
) -> Lines:
    """Predictions of the rows of a problem by the model and the baselines.

    Parameters
    ----------
    fitter : module
        `training_fit` or `serving_fit` [-].
    problem : trn3.fit.calibration.Problem
        Rows [-].
    folds : str
        One of `FOLDS` but ``prospective`` [-].
    own : bool
        Whether these are committed rows [-].
    unseen : mapping, optional
        `refitted` with generations left out, where it is at hand [-].

    Returns
    -------
    Lines
        Errors and bands [-].
    """
    if own and folds in REFITTED:
        return _left_out(fitter, problem, folds, unseen)
    if own and folds == "origin":
        return _rolling(fitter, problem)
    return _as_committed(fitter, problem, own and folds == "none")


def report(
    kind: str, folds: str, corrections: int, lines: Lines, problem: Any = None
) -> dict[str, Any]:
    """Scores of predictions, ready for JSON.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    folds : str
        What was left out [-].
    corrections : int
        Class of corrections up to which rows were mended [-].
    lines : Lines
        Predictions [-].
    problem : trn3.fit.calibration.Problem, optional
        The committed rows, to score published tables with all rows of their authors left out [-].

    Returns
    -------
    dict
        As `validate` [-].
    """
    fitter, rows = _fitter(kind), lines.rows
    slices = fitter.slices(rows)
    everything, n = np.ones(len(rows), bool), int(rows["row_id"].nunique())
    result: dict[str, Any] = {"kind": kind, "folds": folds, "corrections": corrections}
    result |= {"rows": n + sum(lines.skipped.values()), "scored": n, "skipped": lines.skipped}
    result |= lines.scores(everything)
    result["baselines"] = {
        name: lines.scores(everything, name)
        | {"by": {s: lines.scores(m, name) for s, m in slices.items() if m.any()}}
        for name in lines.error
        if name != "model"
    }
    result["by"] = {
        k: {str(v): lines.scores((rows[k] == v).to_numpy()) for v in sorted(rows[k].unique())}
        for k in ("quantity", "family", "chip", "source", "generation")
    }
    error = lines.error["model"]
    result["tables"] = {s: lines.scores(m) for s, m in slices.items() if m.any()}
    result["tables"] |= _tables(fitter, problem, error) if problem is not None else {}
    result["groups"] = group_score(error, rows["group"].to_numpy(str)).to_dict("records")
    parts = {"everything": everything} | slices
    result["rules_0_1"] = earlier.compare(kind, folds, rows, error, lines.band["model"], parts)
    predicted = np.exp(error) * rows["measured"].to_numpy(float)
    keep = ["row_id", "quantity", "group", "chip", "source", "measured"]
    low, high = predicted / np.exp(lines.band["model"][::-1])
    runs = rows[keep].assign(predicted=predicted, low=low, high=high)
    result["runs"] = runs.to_dict("records")
    result["other_corrections"] = {}
    return dict(_plain(result))


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


def _show(value: float | None, width: int, digits: int = 1, times: float = 100) -> str:
    return f"{'-':>{width}}" if value is None else f"{times * value:{width}.{digits}f}"


def _ends(pair: Sequence[float | None], digits: int, times: float = 1) -> str:
    """A range in brackets of a fixed width."""
    low, high = (_show(x, 0, digits, times) for x in pair)
    return f"{f'({low}-{high})':>13}"


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
    own = "file" in result
    scored = f"{result['scored']} of {result['rows']} rows scored"
    how = f"{_HOW.get(result['folds'], 'left out by ' + result['folds'])}"
    out = [f"{result['kind']}: {scored}, {how}, corrections up to class {result['corrections']}"]
    out += _file_lines(result) if own else []
    out += [
        "",
        "factor: median over groups of exp|ln(predicted/measured)|; in brackets where 80 % of",
    ]
    out += [
        "bootstrap samples of groups lie; holds: % of rows inside their 80 % range; score: interval"
    ]
    out += ["score of that range; error: median over groups of |predicted/measured - 1|, %", ""]
    parts = {"everything": result}
    parts |= {n: t for n, t in result["tables"].items() if "band_coverage" in t}
    names, width = list(result["baselines"]), max(map(len, parts)) + 2
    head = f"{'':{width}}{'groups':>6}{'publ.':>6}{'models':>7}{'factor':>8}{'':13}{'error':>6}"
    head += f"{'bias':>7}{'holds':>6}{'':13}{'score':>6}"
    out += [head + "".join(f"{n:>{len(n) + 2}}{'score':>7}" for n in names)]
    beaten = []
    for name, row in parts.items():
        base = {n: result["baselines"][n]["by"].get(name, result["baselines"][n]) for n in names}
        out.append(f"{name:{width}}{_cells(row)}{_base_cells(base)}")
        mine = row["group_median_factor"]
        beaten += [f"{n} ({name})" for n, b in base.items() if b["group_median_factor"] < mine]
    out += [f"closer than the model: {', '.join(beaten)}"] if beaten else []
    for name, row in result["tables"].items():
        if "band_coverage" not in row:
            ends = f"MAPE {100 * row['mape']:.1f} %, worst {100 * row['worst']:.1f} %"
            out.append(f"{name}: {row['n']} rows, {ends}")
    for c, row in result["other_corrections"].items():
        error = f"{100 * row['group_median_abs_error']:.1f} %, bias {100 * row['bias']:+.1f} %"
        out.append(f"with corrections up to class {c}: {error}, {row['scored']} rows")
    out += _before_lines(result["rules_0_1"])
    if not own:
        out += ["", *(f"not scored {n:4d}: {why}" for why, n in result["skipped"].items())]
    return "\n".join(out)


def _before_lines(parts: Mapping[str, Any]) -> list[str]:
    """Today's scores and those of the rules of 0.1, on the rows that both predict."""
    if not parts:
        return []
    width = max(map(len, parts)) + 2
    head = (
        f"{'':{width}}{'rows':>6}{'groups':>7}{'factor':>8}{'':13}{'holds':>6}{'':13}{'score':>6}"
    )
    out = ["", "beside the rules of 0.1, refitted to the same rows and folds:", head]
    for name, row in parts.items():
        for when, label in (("now", name), ("before", "  0.1")):
            counts = f"{row['n']:6d}{row['n_groups']:7d}" if when == "now" else " " * 13
            out.append(f"{label:{width}}{counts}{_before_cells(row[when])}")
    return out


def _before_cells(mine: Mapping[str, Any]) -> str:
    interval = mine["interval"]
    cells = _show(mine["group_median_factor"], 8, 3, 1)
    cells += _ends(interval["group_median_factor"], 2) + _show(mine["band_coverage"], 6, 0)
    return cells + _ends(interval["band_coverage"], 0, 100) + _show(mine["interval_score"], 6, 2, 1)


def _file_lines(result: Mapping[str, Any]) -> list[str]:
    """How a reader's file was read, and which of its rows were not used."""
    out = [f"{result['file']} was read as {result['form']}"]
    for row in result["not_used"]:
        out.append(f"not used: {_place(row)}: {row['reason']}")
    if result["taken"]:
        out.append(f"taken where empty: {'; '.join(result['taken'])}")
    if result["ignored"]:
        out.append(f"columns not read: {', '.join(result['ignored'])}")
    for row_id in result["unit_in_doubt"]:
        out.append(f"{row_id}: off by about a thousand; ms for s, or s for ms?")
    return out


_HOW = {
    "origin": "each half-year from the runs before it",
    "none": "committed constants",
    "prospective": "predicted before any refit",
    "pool": "committed constants, rows that they were not fitted to",
}


def _cells(row: Mapping[str, Any]) -> str:
    """The model's columns of one line."""
    interval = row["interval"]
    cells = f"{row['n_groups']:6d}{row['n_publishers']:6d}{row['n_models']:7d}"
    cells += _show(row["group_median_factor"], 8, 3, 1)
    cells += _ends(interval["group_median_factor"], 2)
    cells += _show(row["group_median_abs_error"], 6) + _show(row["bias"], 7)
    cells += _show(row["band_coverage"], 6, 0) + _ends(interval["band_coverage"], 0, 100)
    return cells + _show(row["interval_score"], 6, 2, 1)


def _base_cells(base: Mapping[str, Mapping[str, Any]]) -> str:
    """Factor and interval score of every baseline."""
    return "".join(
        _show(b["group_median_factor"], len(n) + 2, 2, 1) + _show(b["interval_score"], 7, 2, 1)
        for n, b in base.items()
    )
