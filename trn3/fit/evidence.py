"""The committed runs by what the fit has seen of them, and who published them.

A run table in ``data/`` grows. Its column ``added`` is the day on which a row came in,
``fitted_since`` the first version whose constants were fitted with it. What came in after the
rows of the committed constants is *newer*: `trn3.fit.prospective` scores it before any refit.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from trn3 import data

PARTS = ("fitted", "newer", "pool", "all")
"""Rows behind the committed constants; rows that came in later; rows that were there and unused."""
TABLES = {"training": "training_runs", "serving": "inference_runs"}
KEYS = {"training": "source_key", "serving": "family"}
"""Column whose values have a publisher, and in serving a harness."""
BOOKKEEPING = ["added", "fitted_since"]
_TEXTS = ["source", "url", "verified"]


def text_table(name: str) -> pd.DataFrame:
    """A table of ``data/`` with every cell as text.

    Parameters
    ----------
    name : str
        File name without its ending [-].

    Returns
    -------
    pandas.DataFrame
        Text columns, empty where nothing is printed [-].
    """
    return pd.read_csv(data.DATA / f"{name}.csv", dtype=str, keep_default_na=False)


def part_of(table: pd.DataFrame) -> np.ndarray:
    """Which of `PARTS` each row of a run table belongs to.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns ``added`` (ISO dates) and ``fitted_since`` [-].

    Returns
    -------
    numpy.ndarray
        ``fitted``, ``newer`` or ``pool`` [-].

    Examples
    --------
    >>> rows = {"added": ["2026-01-01", "2026-01-01", "2026-02-01"], "fitted_since": ["1", "", ""]}
    >>> part_of(pd.DataFrame(rows)).tolist()
    ['fitted', 'pool', 'newer']
    """
    fitted = (table["fitted_since"] != "").to_numpy()
    last = table.loc[fitted, "added"].max() if fitted.any() else ""
    later = (table["added"] > last).to_numpy()
    return np.select([fitted, later], ["fitted", "newer"], "pool")


def runs(kind: str, part: str = "fitted") -> pd.DataFrame:
    """Committed runs of a kind, as their sources print them.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    part : str
        One of `PARTS` [-].

    Returns
    -------
    pandas.DataFrame
        Text columns, without the two of bookkeeping [-].

    Raises
    ------
    trn3.data.DataError
        A key without a publisher.
    """
    table = text_table(TABLES[kind])
    if part != "all":
        table = table[part_of(table) == part].reset_index(drop=True)
    who(kind, table[KEYS[kind]])
    return as_printed(table)


def as_printed(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a run table, or of a copy of it, as their sources print them.

    Parameters
    ----------
    table : pandas.DataFrame
        Text columns [-].

    Returns
    -------
    pandas.DataFrame
        Without bookkeeping, and with what many rows share put back: document, address, whether it
        was verified, and the note [-].
    """
    table = table.drop(columns=BOOKKEEPING, errors="ignore")
    if "printed_in" not in table:
        return table
    documents = text_table("run_documents").set_index("id")
    notes = text_table("run_notes").set_index("id")["note"]
    order = [c for c in table for c in (_TEXTS if c == "printed_in" else [c])]
    texts = {c: table["printed_in"].map(documents[c]) for c in _TEXTS}
    return table.assign(**texts, note=table["note"].map(notes).fillna(""))[order]


def read_file(file: str | Path) -> pd.DataFrame:
    """Rows of a CSV file as text, each with as many fields as the header.

    Parameters
    ----------
    file : str or Path
        The file [-].

    Returns
    -------
    pandas.DataFrame
        Text columns, as `as_printed`; rows that share an id are told apart by their line [-].

    Raises
    ------
    trn3.data.DataError
        A file that cannot be read, or the row with more or fewer fields than the header.
    """
    path = Path(file)
    try:
        with path.open(encoding="utf-8", newline="") as text:
            sizes = [len(line) for line in csv.reader(text)]
        odd = next((i for i, n in enumerate(sizes) if n not in (0, sizes[0])), 0)
        rows = pd.read_csv(path, dtype=str, keep_default_na=False, nrows=0 if odd else None)
    except (OSError, ValueError, csv.Error) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or error
        raise data.DataError(f"{path}: cannot be read ({why})") from None
    if odd:
        raise data.DataError(
            f"{path.name} row {odd + 1}: it has {sizes[odd]} fields, the header {sizes[0]}"
        )
    if "row_id" in rows:
        lines = " (line " + (rows.index + 2).astype(str) + ")"
        rows["row_id"] += np.where(rows["row_id"].duplicated(keep=False), lines, "")
    return as_printed(rows)


def columns(kind: str) -> list[str]:
    """Columns that a file of runs may have.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].

    Returns
    -------
    list of str
        Those of `runs` [-].
    """
    return list(runs(kind).columns)


def name(file: str | Path | None, kind: str) -> str:
    """Name of a file of runs for a message.

    Parameters
    ----------
    file : str or Path, optional
        A reader's file; the committed one where None [-].
    kind : str
        ``training`` or ``serving`` [-].

    Returns
    -------
    str
        File name [-].
    """
    return Path(file or f"{TABLES[kind]}.csv").name


def corrected(rows: pd.DataFrame, corrections: int) -> pd.DataFrame:
    """Rows with the committed corrections up to a class applied.

    Parameters
    ----------
    rows : pandas.DataFrame
        Text columns with row_id [-].
    corrections : int
        0 none, 1 rows that are wrong whatever a model says, 2 readings that are judged [-].

    Returns
    -------
    pandas.DataFrame
        The same rows, mended [-].
    """
    rows, fixes = rows.copy(), text_table("corrections")
    fixes = fixes[(fixes["class"].astype(int) <= corrections) & fixes["column"].isin(rows.columns)]
    place = {row_id: i for i, row_id in zip(rows.index, rows["row_id"])}
    for row_id, column, new in fixes[["row_id", "column", "new"]].itertuples(index=False):
        if row_id in place:
            rows.at[place[row_id], column] = new
    return rows


def publishers(kind: str) -> pd.DataFrame:
    """Who published the runs of a key, and with which harness they were measured.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].

    Returns
    -------
    pandas.DataFrame
        publisher and harness by key [-].

    Examples
    --------
    >>> publishers("serving").at["trtllm_v1.2", "harness"]
    'trtllm_bench'
    """
    table = text_table("publishers")
    return table[table["kind"] == kind].set_index("key")[["publisher", "harness"]]


def who(kind: str, keys: pd.Series, column: str = "publisher", own: bool = False) -> pd.Series:
    """Publisher or harness of every run.

    Parameters
    ----------
    kind : str
        ``training`` or ``serving`` [-].
    keys : pandas.Series
        ``source_key`` of training runs, ``family`` of serving runs [-].
    column : str
        ``publisher`` or ``harness`` [-].
    own : bool
        A reader's own runs: a key that is not known is its own publisher [-].

    Returns
    -------
    pandas.Series
        Names [-].

    Raises
    ------
    trn3.data.DataError
        A key that ``data/publishers.csv`` does not have, of committed runs.
    """
    known = publishers(kind)[column]
    missing = sorted(set(keys) - set(known.index))
    if missing and not own:
        raise data.DataError(f"publishers.csv has no {kind} row with key {missing[0]!r}")
    return keys.map(known).fillna(keys)


def unmodelled(models: Iterable[str]) -> dict[str, str]:
    """Layers that no term describes, of the models that have such.

    Parameters
    ----------
    models : iterable of str
        Names in a source [-].

    Returns
    -------
    dict
        What they are, by name; a model that the terms cover is absent [-].

    Examples
    --------
    >>> unmodelled(["GLM-5", "llama-3-70b"])
    {'GLM-5': 'sparse attention with an indexer'}
    """
    table = text_table("unmodelled")
    known = {_key(m): layers for m, layers in zip(table["model"], table["layers"])}
    return {m: known[_key(m)] for m in models if _key(m) in known}


def _key(model: str) -> str:
    return "".join(c for c in model.lower() if c.isalnum())
