"""Runs that came in after the constants were fixed: predicted with the constants as they stood,
before any refit, and kept.

`append` writes ``data/prospective.csv``, one line a row and quantity, and only ever adds lines.
What a row leaves unscored stands there too, with its reason.
"""

from typing import Any

import numpy as np
import pandas as pd

from trn3 import data
from trn3.fit import calibration, evidence

COLUMNS = [
    "kind",
    "row_id",
    "quantity",
    "added",
    "constants",
    "rows_hash",
    "measured",
    "predicted",
    "low",
    "high",
    "reason",
]
NOT_SCORED = "-"
"""Quantity of a row that was not scored."""


def table() -> pd.DataFrame:
    """The stored scores.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS` as text; none where nothing is stored yet [-].
    """
    if not (data.DATA / "prospective.csv").exists():
        return pd.DataFrame(columns=COLUMNS, dtype=str)
    return evidence.text_table("prospective")


def lines(kind: str, fitter: Any) -> pd.DataFrame:
    """Score the newer rows of a kind with the committed constants.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    fitter : module
        `training_fit` or `serving_fit` [-].

    Returns
    -------
    pandas.DataFrame
        One line a row and quantity, as text [-].
    """
    runs = evidence.text_table(evidence.TABLES[kind])
    fitted = runs[runs["fitted_since"] != ""]
    stamp = {
        "kind": kind,
        "constants": fitted["fitted_since"].max(),
        "rows_hash": calibration.committed_hash(kind),
    }
    added = runs.set_index("row_id")["added"]
    problem = fitter.problem(part="newer")
    rows = problem.rows
    measured = rows["measured"].to_numpy(float)
    predicted = np.exp(calibration.committed_errors(problem)) * measured
    low, high = predicted / np.exp(fitter.committed_bands(rows)[::-1])
    values = {"measured": measured, "predicted": predicted, "low": low, "high": high}
    scored = rows[["row_id", "quantity"]].assign(
        **{name: [f"{v:.4g}" for v in value] for name, value in values.items()}
    )
    skipped = pd.DataFrame({"row_id": problem.skipped.keys(), "reason": problem.skipped.values()})
    whole = pd.concat([scored, skipped.assign(quantity=NOT_SCORED)])
    whole = whole.assign(**stamp, added=whole["row_id"].map(added))
    whole = whole.sort_values(["row_id", "quantity"], kind="stable")
    return whole.reindex(columns=COLUMNS).astype(object).fillna("")


def append(kind: str, fitter: Any) -> int:
    """Add the scores of rows that are not stored yet; stored lines stay as they are.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    fitter : module
        `training_fit` or `serving_fit` [-].

    Returns
    -------
    int
        Lines added [-].
    """
    if evidence.runs(kind, "newer").empty:
        return 0
    stored = table()
    known = set(stored.loc[stored["kind"] == kind, "row_id"])
    new = lines(kind, fitter)
    new = new[~new["row_id"].isin(known)]
    if len(new):
        whole = pd.concat([stored, new])
        whole.to_csv(data.DATA / "prospective.csv", index=False, lineterminator="\n")
    return len(new)


def scored(kind: str, fitter: Any) -> pd.DataFrame:
    """Stored predictions with the labels by which they are grouped.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    fitter : module
        `training_fit` or `serving_fit` [-].

    Returns
    -------
    pandas.DataFrame
        Rows as the fitter describes them, with measured, predicted, low and high [s], [1/s].
    """
    stored = table()
    stored = stored[(stored["kind"] == kind) & (stored["quantity"] != NOT_SCORED)]
    rows = fitter.rows_of(set(stored["row_id"]))
    numbers = stored.astype(dict.fromkeys(("measured", "predicted", "low", "high"), float))
    keep = ["row_id", "quantity", "measured", "predicted", "low", "high", "constants"]
    return rows.drop(columns="measured").merge(
        numbers[keep], on=["row_id", "quantity"], validate="1:1"
    )


def log_errors(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Errors and bands of stored predictions.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `scored` [-].

    Returns
    -------
    tuple of numpy.ndarray
        Log of predicted over measured, and the band around it, shape (2, n) [-].
    """
    error = np.log(rows["predicted"] / rows["measured"]).to_numpy()
    ends = [np.log(rows["predicted"] / rows[end]).to_numpy() for end in ("high", "low")]
    return error, np.array(ends)


def reasons(kind: str) -> dict[str, int]:
    """Why rows were not scored.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].

    Returns
    -------
    dict
        Number of rows by reason [-].
    """
    stored = table()
    mine = stored[(stored["kind"] == kind) & (stored["quantity"] == NOT_SCORED)]
    return {str(k): int(v) for k, v in mine["reason"].value_counts().items()}
