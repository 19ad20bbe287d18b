"""What the predictions missed on runs that the fit had not seen, stored beside the constants for
every page to cite.

``trn3 calibrate`` writes two tables: ``validation.csv`` with each published run, measured and
predicted with its source or its chip generation left out of the fit, and ``validation_summary.csv``
with the scores by fold and slice.
"""

from typing import Any

import numpy as np
import pandas as pd

from trn3 import committed, data, hardware
from trn3.fit import calibration, earlier, validation

FOLDS = ("none", "source", "publisher", "harness", "generation", "model", "origin")
RUNS = ("source", "generation")
"""Folds whose single runs are stored, beside the headline of each kind."""
_SCORES = (
    "n",
    "n_groups",
    "n_publishers",
    "n_models",
    "group_median_factor",
    "vote_median_factor",
    "group_median_abs_error",
    "group_p90_abs_error",
    "mape",
    "bias",
    "worst",
    "band_coverage",
    "interval_score",
)
_BASES = ("group_median_factor", "group_median_abs_error", "interval_score")


def _row(
    result: dict[str, Any], fold: str, corrections: int, part: str, score: dict[str, Any]
) -> dict[str, Any]:
    row = {"kind": result["kind"], "fold": fold, "corrections": corrections, "part": part}
    row |= {k: score.get(k, np.nan) for k in _SCORES}
    ends = score.get("interval", {})
    for name, short in (("group_median_factor", "factor"), ("band_coverage", "coverage")):
        low, high = ends.get(name, (np.nan, np.nan))
        row |= {f"{short}_low": low, f"{short}_high": high}
    # The first baseline needs no data (a roofline, half of peak); the second takes one constant per
    # chip.
    for name, base in zip(("rule", "constant"), result["baselines"].values(), strict=True):
        other = base if part == "everything" else base["by"].get(part, {})
        row |= {f"{name}_{k}": other.get(k, np.nan) for k in _BASES}
    return row


def results(
    kind: str, problem: calibration.Problem | None = None
) -> dict[tuple[str, int], dict[str, Any]]:
    """Scores of a kind by fold and class of corrections.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    problem : Problem, optional
        The committed rows, where they are at hand with what was refitted already [-].

    Returns
    -------
    dict
        As `validation.validate`, by fold and class [-].
    """
    fitter = validation._fitter(kind)
    problem = problem or fitter.problem()
    unseen = validation.refitted(fitter, problem, "generation")
    out = {}
    for fold in FOLDS:
        if fold == "harness" and kind == "training":
            continue
        lines = validation.lines_of(fitter, problem, fold, True, unseen)
        tables = None if fold == "origin" else problem
        out[fold, 1] = validation.report(kind, fold, 1, lines, tables)
    for corrections in (0, 2):
        out["source", corrections] = _corrected(kind, corrections)
    out["prospective", 1] = validation.validate(kind, None, "prospective")
    return out


def _corrected(kind: str, corrections: int) -> dict[str, Any]:
    """Scores with other corrections; of serving the misses alone count, and no ranges."""
    if kind == "training":
        return validation.validate(kind, None, "source", corrections, False)
    fitter = validation._fitter(kind)
    problem = fitter.problem(None, corrections)
    unseen = validation.refitted(fitter, problem, "source")
    lines = validation.lines_of(fitter, problem, "source", True, unseen)
    return validation.report(kind, "source", corrections, lines)


def score(kind: str, problem: calibration.Problem | None = None) -> dict[str, pd.DataFrame]:
    """Scores of a kind by fold and slice, its runs with each source or generation left out, and
    what the rules of 0.1 score on the same rows.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    problem : Problem, optional
        The committed rows, as in `results` [-].

    Returns
    -------
    dict of pandas.DataFrame
        Rows of this kind by table of ``data/``; errors are shares [-].
    """
    summary, runs, before = [], [], {}
    for (fold, corrections), result in results(kind, problem).items():
        if corrections == 1:
            before[fold] = result["rules_0_1"]
        parts = {"everything": result} | result["tables"]
        summary += [_row(result, fold, corrections, p, s) for p, s in parts.items()]
        if fold in (*RUNS, validation.HEADLINE[kind]) and corrections == 1:
            runs.append(pd.DataFrame(result["runs"]).assign(kind=kind, fold=fold))
    columns = [
        "kind",
        "fold",
        "row_id",
        "quantity",
        "group",
        "chip",
        "source",
        "measured",
        "predicted",
        "low",
        "high",
    ]
    table = pd.concat(runs)[columns].sort_values(columns[:4], kind="stable")
    keys = ["kind", "fold", "corrections", "part"]
    frame = pd.DataFrame(summary).sort_values(keys, kind="stable")
    counts = [c for c in frame if c == "n" or c.startswith("n_")]
    measures = [c for c in frame.select_dtypes("number") if c not in (*counts, "corrections")]
    frame = _text(frame, dict.fromkeys(measures, "{:.4f}") | dict.fromkeys(counts, "{:.0f}"))
    ends = ("measured", "predicted", "low", "high")
    return {
        "validation_summary": frame,
        "validation": _text(table, dict.fromkeys(ends, "{:.4g}")),
        "rules_0_1_scores": earlier.table(before, kind),
    }


def _text(frame: pd.DataFrame, formats: dict[str, str]) -> pd.DataFrame:
    """Numbers as they are written; empty where there is none."""
    shown = {c: frame[c].map(f.format).where(frame[c].notna(), "") for c, f in formats.items()}
    return frame.assign(**shown).astype(str)


def store(kind: str, problem: calibration.Problem | None = None) -> None:
    """Write the scores of a kind beside its constants.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    problem : Problem, optional
        The committed rows, as in `results` [-].
    """
    for name, new in score(kind, problem).items():
        path = data.DATA / f"{name}.csv"
        old = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else new.iloc[:0]
        whole = pd.concat([old[old["kind"] != kind], new])[list(new.columns)]
        whole = whole.fillna("").sort_values(list(new.columns[:4]), kind="stable")
        whole.to_csv(path, index=False, lineterminator="\n")


def summary(
    kind: str, fold: str = "source", part: str = "everything", corrections: int = 1
) -> dict[str, Any]:
    """Stored scores of one slice.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    fold : str
        What was left out of the fit: ``source``, ``publisher``, ``generation``, ``model``, or
        ``none`` [-].
    part : str
        Slice, as named in ``validation_summary.csv`` [-].
    corrections : int
        Class of data corrections up to which rows were mended [-].

    Returns
    -------
    dict
        Scores, shares from 0 to 1 [-].

    Raises
    ------
    trn3.data.UnknownId
        Where nothing of the name is stored.
    """
    rows = data.table("validation_summary")
    keys = {"kind": kind, "fold": fold, "part": part, "corrections": corrections}
    mine = rows[np.logical_and.reduce([rows[k] == v for k, v in keys.items()])]
    if mine.empty:
        raise data.UnknownId(
            f"validation_summary.csv has no row with {keys}; run: trn3 calibrate {kind}"
        )
    return mine.iloc[0].to_dict()


def runs(kind: str, fold: str = "source") -> pd.DataFrame:
    """Stored runs of a kind, predicted with their fold left out.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    fold : str
        ``source`` or ``generation`` [-].

    Returns
    -------
    pandas.DataFrame
        ``row_id, quantity, group, chip, source, measured, predicted, low, high, ratio`` [s or
        token/s].
    """
    rows = data.table("validation")
    rows = rows[(rows["kind"] == kind) & (rows["fold"] == fold)]
    return rows.assign(ratio=rows["predicted"] / rows["measured"]).reset_index(drop=True)


def newer(kind: str) -> pd.DataFrame:
    """How far predictions missed on runs that came in after the constants were fixed, by family.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].

    Returns
    -------
    pandas.DataFrame
        Rows of ``validation_summary.csv`` [-].
    """
    return by_part(kind, "prospective")


def by_part(kind: str, fold: str) -> pd.DataFrame:
    """Stored scores of a fold, one row a family.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    fold : str
        What was left out [-].

    Returns
    -------
    pandas.DataFrame
        Rows of ``validation_summary.csv`` with a coverage, everything first [-].
    """
    rows = data.table("validation_summary")
    rows = rows[(rows["kind"] == kind) & (rows["fold"] == fold) & (rows["corrections"] == 1)]
    rows = rows[rows["band_coverage"].notna()].assign(part=rows["part"].str.strip())
    return rows.sort_values("part", key=lambda p: p != "everything", kind="stable")


def sentence(kind: str, chip: hardware.Chip) -> str:
    """Why a chip's predictions deserve trust, in one sentence with the figures.

    Parameters
    ----------
    kind : str
        ``training`` or ``inference`` [-].
    chip : Chip
        The chip that the page speaks of [-].

    Returns
    -------
    str
        Prose.
    """
    new, old = summary(kind, "generation"), summary(kind, "source")
    name = "serving" if kind == "inference" else kind
    error = f"{100 * new['group_median_abs_error']:.0f}%"
    miss = f"on chip generations never fitted the median error was {error}"
    miss += f" ({new['n_groups']:.0f} groups of runs; a constant share of peak per chip: "
    miss += f"{100 * new['constant_group_median_abs_error']:.0f}%)"
    family = chip.family.capitalize().replace("Tpu", "TPU")
    band = ("band_throughput", "throughput") if name == "serving" else ("band", family)
    miss += f". {committed.band_origin(name, *band, chip.id, chip.family)}"
    if committed.borrowed(name, chip.id):
        return f"No public {chip.name} {name} run was fitted; {miss}."
    seen = f"{100 * old['group_median_abs_error']:.0f}% with each source left out in turn"
    seen += f" ({old['n_groups']:.0f} groups)"
    whole = f"the median error over all chips is {seen}"
    return f"Published {chip.name} runs were fitted; {whole}, and {miss}."


def verdict(check: Any) -> str:
    """Word for a published number beside its prediction, the same on all pages.

    Parameters
    ----------
    check : record
        With ``published, low, high`` in one unit [any].

    Returns
    -------
    str
        Within band (3% for rounding) or Outside band.

    Examples
    --------
    >>> from types import SimpleNamespace as Row
    >>> rows = [Row(published=value, low=320.0, high=360.0) for value in (433.0, 365.0)]
    >>> [verdict(row) for row in rows]
    ['Outside band', 'Within band']
    """
    inside = (
        check.low - 0.03 * abs(check.low) <= check.published <= check.high + 0.03 * abs(check.high)
    )
    return "Within band" if inside else "Outside band"
