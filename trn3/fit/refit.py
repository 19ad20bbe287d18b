"""Refit of the committed constants from the committed rows."""

import pandas as pd

from trn3 import committed, data
from trn3.fit import prospective, serving_fit, training_fit
from trn3.fit.calibration import constants_frame, fit, group_weights


def calibrate(kind: str, check: bool = False) -> pd.DataFrame:
    """Refit from the committed rows and write ``data/calibration.csv``.

    Rows that came in since are first scored with the constants as they stand
    (`trn3.fit.prospective`).

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` (also ``inference``) [-].
    check : bool
        Compare with the committed table to the digit instead of writing it [-].

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
    result = fit(problem, group_weights(problem.rows["group"].to_numpy(str)))
    mine = constants_frame(problem, result, module.band_rows(problem, result))
    path = data.DATA / "calibration.csv"
    known = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else mine.iloc[:0]
    if check:
        if known[known["kind"] == kind].to_csv(index=False) != mine.to_csv(index=False):
            raise data.DataError(
                f"calibration.csv differs from a refit of the {kind} rows; run: trn3 calibrate {kind}"
            )
        return mine
    merged = pd.concat([known[known["kind"] != kind], mine]).sort_values("kind", kind="stable")
    merged.to_csv(path, index=False, lineterminator="\n")
    committed.forget()
    return mine
