"""Two chips, two systems or the results of two reports side by side."""

import contextlib
import json
import math
from typing import Any

import pandas as pd

from trn3 import data, hardware
from trn3.bounds import printable, shown, text_of

LARGEST = 1e300
"""Numbers of a results file from here on are none."""


def beside(a: str, b: str) -> pd.DataFrame:
    """Every number of both, those that they share first, with the ratio of the second to the first.

    Parameters
    ----------
    a, b : str
        Ids of chips or systems, or paths of results files.

    Returns
    -------
    pandas.DataFrame
        One row per quantity.

    Raises
    ------
    TrnError
        An id is unknown or a file holds no results.

    Examples
    --------
    >>> beside("trainium2", "trainium3").query("`` == 'fp8 work, peak'")["ratio"].item()
    '1.938'
    """
    one, two = (_results(text) if text.endswith(".json") else _facts(text) for text in (a, b))
    lines = []
    for name in sorted(one | two, key=lambda n: (n in one) + (n in two), reverse=True):
        unit, scale = (one.get(name) or two[name])[1:3]
        rows = [of.get(name, (math.nan, "", 1.0, "")) for of in (one, two)]
        first, second = (
            row[0] / scale if isinstance(row[0], int | float) else math.nan for row in rows
        )
        ratio = f"{second / first:.4g}" if first and not math.isnan(second / first) else ""
        lines.append((name, unit, _shown(first, rows[0][3]), _shown(second, rows[1][3]), ratio))
    return pd.DataFrame(lines, columns=["", "unit", a, b, "ratio"])


def _results(path: str) -> dict[str, tuple[Any, ...]]:
    """The headline numbers of a results file, each checked."""
    try:
        content = json.loads(text_of(path))
        rows = content.get("headline") if isinstance(content, dict) else None
        if not isinstance(rows, list):
            raise data.TrnError("these are no results of a report")
        return dict(map(_number, rows))
    except data.TrnError as error:
        raise data.DataError(f"{path}: {error}") from None
    except RecursionError:
        raise data.DataError(f"{path}: nested too deeply") from None
    except ValueError as error:
        raise data.DataError(f"{path}: cannot be read as JSON ({error})") from None


def _number(row: Any) -> tuple[str, tuple[Any, ...]]:
    """Name of a headline number, and what stands beside it; what is not a finite number is none."""
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise data.TrnError(f"headline = {shown(row)}: must be a number with a name")
    unit, status = (printable(str(row.get(key) or "")) for key in ("unit", "status"))
    value = row.get("value")
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST:
        number = float(value)
    return printable(row["name"]), (number, unit, 1.0, status)


def _facts(text: str) -> dict[str, tuple[Any, ...]]:
    found, work = [], {}
    for kind in ("chip", "system"):
        with contextlib.suppress(data.UnknownId):
            found += data.facts(data.resolve(kind, text))
    for dtype in ("fp8", "fp4"):  # what a format runs as: FP8 work is MXFP8 on Trainium3
        with contextlib.suppress(data.TrnError):
            chip = hardware.chip(text)
            fact = chip.fact("peak_flops_per_s", chip.native(dtype))
            work[f"{dtype} work, peak"] = (fact.value, fact.shown_unit, fact.scale, fact.status)
    found = [
        f for f in found or data.facts(data.resolve("chip", text)) if f.use or math.isnan(f.value)
    ]
    told = {
        " ".join(f"{f.quantity} {f.dtype} {f.basis}".split()): f
        for f in sorted(found, key=lambda f: f.use)
    }
    return work | {name: (f.value, f.shown_unit, f.scale, f.status) for name, f in told.items()}


def _shown(value: float, status: str) -> str:
    if math.isnan(value):
        return {"undisclosed": "not published", "unsupported": "not supported"}.get(status, "-")
    return f"{value:.4g}" + f" ({status})" * (status in ("assumed", "derived", "reported"))
