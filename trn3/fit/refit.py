"""Refit of the committed constants from the committed rows."""

import pandas as pd

from trn3 import committed, data
from trn3.fit import prospective, serving_fit, serving_variants, training_fit, trust, variants
from trn3.fit.calibration import constants_frame

CLOSE = {"value": (1e-3, 0.0), "log_sd": (0.0, 1e-3)}
"""Columns of ``calibration.csv`` that are compared as numbers, with the relative and the absolute
difference that the last stored digit allows; the others are compared as text [-].
"""


def difference(stored: pd.DataFrame, made: pd.DataFrame) -> str:
    """First difference between the committed constants and a refit, if there is one.

    Parameters
    ----------
    stored, made : pandas.DataFrame
        Rows of ``calibration.csv`` of one kind, as texts [-].

    Returns
    -------
    str
        What differs; empty where numbers agree within `CLOSE` and all else to the letter.

    Examples
    --------
    >>> row = {"owner": "h100", "name": "hbm_share", "value": "0.7228", "log_sd": ""}
    >>> difference(pd.DataFrame([row]), pd.DataFrame([row | {"value": "0.7229"}]))
    ''
    >>> difference(pd.DataFrame([row]), pd.DataFrame([row | {"value": "0.7328"}]))
    'h100 hbm_share: value 0.7228 is stored, 0.7328 comes out'
    """
    if len(stored) != len(made) or list(stored.columns) != list(made.columns):
        return f"{len(stored)} rows are stored, {len(made)} come out"
    for old, new in zip(stored.to_dict("records"), made.to_dict("records"), strict=True):
        for column, text in new.items():
            if not _agree(column, old[column], text):
                where = f"{new['owner']} {new['name']}"
                return f"{where}: {column} {old[column]} is stored, {text} comes out"
    return ""


def _agree(column: str, stored: str, made: str) -> bool:
    if stored == made or column not in CLOSE or not (stored and made):
        return stored == made
    relative, absolute = CLOSE[column]
    allowed = max(relative * abs(float(stored)), absolute)
    slack = 1 + 1e-6  # texts that are one digit apart differ by a little more or less as floats
    return abs(float(stored) - float(made)) <= slack * allowed


def calibrate(kind: str, check: bool = False) -> pd.DataFrame:
    """Refit from the committed rows and write ``data/calibration.csv``.

    Rows that came in since are first scored with the constants as they stand
    (`trn3.fit.prospective`); the scores of the new ones are stored beside them (`trn3.fit.trust`),
    and those of what else was tried (`trn3.fit.variants`).

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` (also ``inference``) [-].
    check : bool
        Compare with the committed table instead of writing it, see `difference` [-].

    Returns
    -------
    pandas.DataFrame
        The rows of this kind [-].

    Raises
    ------
    trn3.data.DataError
        The committed table differs (check) [-].
    """
    kind = "serving" if kind == "inference" else kind
    if kind not in ("training", "serving"):
        raise data.TrnError(f"kind = {kind!r}: must be training or inference")
    module = training_fit if kind == "training" else serving_fit
    if not check:
        prospective.append(kind, module)
    problem = module.problem()
    mine = constants_frame(problem, problem.whole, module.band_rows(problem, problem.whole))
    path = data.DATA / "calibration.csv"
    known = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else mine.iloc[:0]
    if check:
        if found := difference(known[known["kind"] == kind], mine):
            raise data.DataError(
                f"calibration.csv differs from a refit of the {kind} rows: {found}; "
                f"run: trn3 calibrate {kind}"
            )
        return mine
    merged = pd.concat([known[known["kind"] != kind], mine]).sort_values("kind", kind="stable")
    merged.to_csv(path, index=False, lineterminator="\n")
    committed.forget()
    trust.store("inference" if kind == "serving" else kind, problem)
    if kind == "training":
        variants.store()
    else:
        serving_variants.store(problem)
    return mine
